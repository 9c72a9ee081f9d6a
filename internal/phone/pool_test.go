package phone_test

import (
	"testing"

	"github.com/lethe-cloud/lethe/internal/phone"
)

// Which hosts of a pool an account gets, and what it is told when there are none, or too few.
func TestPickHosts(t *testing.T) {
	t.Parallel()
	pool := []phone.PoolHost{
		{Name: "a", ServerModel: "small"}, {Name: "b", Keypair: "ops", ServerModel: "small", Accounts: []string{"acme"}}, {Name: "c", ServerModel: "small"}, {Name: "d", ServerModel: "big"},
	}
	for name, tt := range map[string]struct {
		taken          map[string]bool
		model, account string
		wanted         int
		want           string
		reason         phone.Reason
		keypair        string
	}{
		"everybody's":          {nil, "small", "other", 2, "ac", "", ""},
		"one's own too":        {nil, "small", "acme", 1, "abc", "", ""},
		"what is free":         {map[string]bool{"a": true}, "small", "acme", 2, "bc", "", ""},
		"too few are free":     {map[string]bool{"a": true}, "small", "other", 2, "", phone.ReasonHostsTaken, ""},
		"none is free":         {map[string]bool{"d": true}, "big", "acme", 1, "", phone.ReasonHostsTaken, ""},
		"none of the model":    {nil, "huge", "acme", 1, "", phone.ReasonNoHost, ""},
		"more than there are":  {nil, "big", "acme", 2, "", phone.ReasonHostsTaken, ""},
		"with a key pair":      {nil, "small", "acme", 1, "b", "", "ops"},
		"with an unknown one":  {nil, "small", "acme", 1, "", phone.ReasonNoKeypair, "other"},
		"with another's":       {nil, "small", "other", 1, "", phone.ReasonNoKeypair, "ops"},
		"only another's hosts": {map[string]bool{"a": true, "c": true}, "small", "other", 1, "", phone.ReasonHostsTaken, ""},
	} {
		hosts, err := phone.PickHosts(pool, tt.taken, tt.model, tt.keypair, tt.account, tt.wanted)
		got := ""
		for _, h := range hosts {
			got += h.Name
		}
		if got != tt.want || (err == nil) != (tt.reason == "") || err != nil && err.Reason != tt.reason {
			t.Errorf("%s: %q, %v; want %q %q", name, got, err, tt.want, tt.reason)
		}
	}
}
