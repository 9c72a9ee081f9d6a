package config

import "github.com/lethe-cloud/lethe/internal/adb"

// Keypair is whose adb the phones of a server let in: public keys under a name. It is set in the configuration file only, as one
// [[keypairs]] table each; every replica needs the same ones.
type Keypair struct {
	Name       string
	PublicKeys []string // lines as in ~/.android/adbkey.pub
	Accounts   []string // names or ids of those who may use it; none: all
}

const keypairsKey = "keypairs"

// readKeypairs is readPhoneModels for key pairs.
func readKeypairs(path string, raw any, problems *Error) []Keypair {
	return readModels(path, keypairsKey, "key pair", raw, problems, readKeypair, func(k Keypair) string { return k.Name })
}

func readKeypair(table map[string]any) (k Keypair, wrong []string) {
	wrong = readModel(table, []modelKey{
		{"name", "must be 1 to 64 letters, digits, - _ or ., such as ops", textKey(&k.Name, modelName)},
		{"public_keys", "must be a list of public keys, one line each, as in ~/.android/adbkey.pub", func(v any) bool {
			return textsKey(&k.PublicKeys)(v) && adb.CheckKeys(k.PublicKeys) == nil
		}},
		{"accounts", "must be a list of account names or ids", textsKey(&k.Accounts)},
	})
	if table["public_keys"] == nil {
		wrong = append(wrong, "public_keys is missing")
	}
	return k, wrong
}
