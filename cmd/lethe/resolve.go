package main

import (
	"context"
	"strings"

	"github.com/lethe-cloud/lethe/api"
	"github.com/lethe-cloud/lethe/client"
	"github.com/lethe-cloud/lethe/internal/phone"
)

// What a command line names, it names by id or by name. A text of 32 lower-case hex digits is an id.

// resolveServer gives the id of a server.
func resolveServer(ctx context.Context, c *client.Client, nameOrID string) (string, error) {
	if phone.ValidID(nameOrID) {
		return nameOrID, nil
	}
	for server, err := range c.Servers(ctx, client.ServerFilter{Name: nameOrID}) {
		if err != nil {
			return "", err
		}
		if server.ServerName == nameOrID {
			return server.ServerID, nil
		}
	}
	return "", usagef("no server is named %q: see lethe server list", nameOrID)
}

// resolveImage gives the id of an image. Several images may share a name: then only an id says which is meant.
func resolveImage(ctx context.Context, c *client.Client, nameOrID string) (string, error) {
	if phone.ValidID(nameOrID) {
		return nameOrID, nil
	}
	images, err := c.Images(ctx, nameOrID)
	if err != nil {
		return "", err
	}
	if len(images) == 0 {
		return "", usagef("no image is named %q: see lethe image list", nameOrID)
	}
	if len(images) > 1 {
		ids := make([]string, len(images))
		for i, image := range images {
			ids[i] = image.ImageID
		}
		return "", usagef("%d images are named %q: give the id of one, %s", len(images), nameOrID, strings.Join(ids, " or "))
	}
	return images[0].ImageID, nil
}

func resolvePhone(ctx context.Context, c *client.Client, nameOrID string) (string, error) {
	phones, err := resolvePhones(ctx, c, []string{nameOrID})
	if err != nil {
		return "", err
	}
	return phones[0].PhoneID, nil
}

// manyNames is from how many names on it is cheaper to list all phones once than to ask for each.
const manyNames = 8

// resolvePhones gives a phone for each name or id, in their order. Of a phone given by its id nothing but the id is known:
// whether it exists is the server's to say.
func resolvePhones(ctx context.Context, c *client.Client, namesOrIDs []string) ([]api.Phone, error) {
	var names []string
	for _, s := range namesOrIDs {
		if !phone.ValidID(s) {
			names = append(names, s)
		}
	}
	byName, err := phonesByName(ctx, c, names)
	if err != nil {
		return nil, err
	}
	phones := make([]api.Phone, len(namesOrIDs))
	for i, s := range namesOrIDs {
		if phone.ValidID(s) {
			phones[i].PhoneID = s
			continue
		}
		found, ok := byName[s]
		if !ok {
			return nil, usagef("no phone is named %q: see lethe phone list", s)
		}
		phones[i] = found
	}
	return phones, nil
}

func phonesByName(ctx context.Context, c *client.Client, names []string) (map[string]api.Phone, error) {
	filters := []client.PhoneFilter{{}}
	if len(names) < manyNames {
		filters = nil
		for _, name := range names {
			filters = append(filters, client.PhoneFilter{Name: name})
		}
	}
	byName := map[string]api.Phone{}
	for _, filter := range filters {
		for p, err := range c.Phones(ctx, filter) {
			if err != nil {
				return nil, err
			}
			byName[p.PhoneName] = p
		}
	}
	return byName, nil
}
