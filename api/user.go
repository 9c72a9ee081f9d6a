package api

import "time"

// AddUser asks for a user of the caller's account. It gets a password and an access key, and may do what its policies say.
type AddUser struct {
	// At most 64 letters, digits, - _ or .; unique in the account.
	UserName string   `json:"user_name"`
	Policies []Policy `json:"policies,omitempty"`
}

// SetPolicies replaces a user's policies; its tokens die at once.
type SetPolicies struct {
	Policies []Policy `json:"policies"`
}

// UserPolicies is what a user may do now.
type UserPolicies struct {
	UserName string   `json:"user_name"`
	Policies []Policy `json:"policies"`
}

// User is someone who calls.
type User struct {
	UserID   string `json:"user_id"`
	UserName string `json:"user_name"`
	// The account itself, which may do all.
	Owner      bool      `json:"owner"`
	Policies   []Policy  `json:"policies"`
	CreateTime time.Time `json:"create_time"`
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

// Policy is a set of statements in the Huawei Cloud JSON form.
type Policy struct {
	Name string `json:"Name,omitempty"`
	// 1.1
	Version   string      `json:"Version"`
	Statement []Statement `json:"Statement"`
}

// Statement allows or denies actions; a denial wins.
type Statement struct {
	// Allow or Deny.
	Effect string `json:"Effect"`
	// service:resource:operation; * stands for any run of characters.
	Action []string `json:"Action"`
}
