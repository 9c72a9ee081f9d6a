package api

import "time"

// AddUser asks for a user of the caller's account. It gets a password and an access key, and may do what its policies say.
type AddUser struct {
	// At most 64 letters, digits, - _ or .; unique in the account.
	UserName string   `json:"user_name"`
	Policies []Policy `json:"policies,omitempty"`
}

// SetPolicies replaces a user's own policies; its tokens die at once.
type SetPolicies struct {
	Policies []Policy `json:"policies"`
}

// UserPolicies is what a user's own policies are now.
type UserPolicies struct {
	UserName string   `json:"user_name"`
	Policies []Policy `json:"policies"`
}

// User is someone who calls.
type User struct {
	UserID   string `json:"user_id"`
	UserName string `json:"user_name"`
	// The account itself, which may do all.
	Owner bool `json:"owner"`
	// Whether anybody can call as it.
	Enabled bool `json:"enabled"`
	// Its own; UserDetail has those that are attached too.
	Policies   []Policy  `json:"policies"`
	CreateTime time.Time `json:"create_time"`
}

// UserDetail is a user with its groups, and what was granted to it and to them.
type UserDetail struct {
	User
	Groups []string `json:"groups"`
	Grants []Grant  `json:"grants"`
}

// AddedUser is a new user with its secrets, which are shown this once.
type AddedUser struct {
	User
	Password  string `json:"password"`
	AccessKey string `json:"access_key"`
	SecretKey string `json:"secret_key"`
}

// Users is a list of users.
type Users struct {
	Users []User `json:"users"`
	Count int    `json:"count"`
}

// SetEnabled takes a user or an access key out of use, or puts it back. Either way the user's tokens die at once.
type SetEnabled struct {
	Enabled bool `json:"enabled"`
}

// ResetPassword gives a user a new password; its tokens die at once.
type ResetPassword struct {
	// At least 8 bytes; one is made when it is left out.
	Password string `json:"password,omitempty"`
}

// Password is a user's new password, which is shown this once.
type Password struct {
	UserName string `json:"user_name"`
	Password string `json:"password"`
}

// ChangePassword gives the caller itself a new password; its tokens die at once.
type ChangePassword struct {
	OriginalPassword string `json:"original_password"`
	// At least 8 bytes.
	Password string `json:"password"`
}

// AccessKey is an access key of a user, without its secret.
type AccessKey struct {
	AccessKey  string    `json:"access_key"`
	Enabled    bool      `json:"enabled"`
	CreateTime time.Time `json:"create_time"`
}

// AddedKey is a new access key with its secret, which is shown this once.
type AddedKey struct {
	AccessKey
	SecretKey string `json:"secret_key"`
}

// AccessKeys is a list of access keys.
type AccessKeys struct {
	AccessKeys []AccessKey `json:"access_keys"`
	Count      int         `json:"count"`
}

// Done is the answer of what has no other: it is as was asked.
type Done struct{}
