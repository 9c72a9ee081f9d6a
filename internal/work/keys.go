package work

import (
	"context"
	"slices"

	"github.com/lethe-cloud/lethe/internal/driver"
	"github.com/lethe-cloud/lethe/internal/phone"
)

// adbKeys are the public keys that the phone lets in besides those of its server's template: those of the server's key pair, as the
// configuration has it now. A pair that is gone from there is an error: made without its keys the phone would lock its users out.
func (t *task) adbKeys() ([]string, error) {
	if t.Server.Keypair == "" {
		return nil, nil
	}
	i := slices.IndexFunc(t.engine.Keypairs, func(k phone.Keypair) bool { return k.Name == t.Server.Keypair })
	if i < 0 {
		return nil, phone.Errorf(phone.Precondition, phone.ReasonNoKeypair, "server %s has the key pair %q, which the configuration does not have", t.Server.Name, t.Server.Keypair)
	}
	if _, can := t.host.(driver.KeySetter); !can {
		return nil, phone.Errorf(phone.Precondition, phone.ReasonNoADBKeys, "the driver %s of server %s cannot say whose adb a phone lets in", t.Server.Driver, t.Server.Name)
	}
	return t.engine.Keypairs[i].PublicKeys, nil
}

// setKeys gives the instance of the life the keys of its server's key pair, whether it runs or not. One that is gone gets them when it is
// made. On a server that never had a key pair there is nothing to set.
func (t *task) setKeys() error {
	keys, err := t.adbKeys()
	if err != nil || t.Server.Keypair == "" {
		return err
	}
	err = t.call("set the adb keys", func(ctx context.Context) error {
		return t.host.(driver.KeySetter).SetADBKeys(ctx, t.ref(), keys)
	})
	if phone.CodeOf(err) == phone.NotFound {
		return nil
	}
	return err
}
