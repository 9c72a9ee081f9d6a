package fleet

import (
	"context"
	"fmt"

	"github.com/lethe-cloud/lethe/internal/account"
	"github.com/lethe-cloud/lethe/internal/phone"
)

// TagStore keeps the tags of servers. A server that is not the project's is NotFound with ReasonServerNotFound.
type TagStore interface {
	// ServerTags gives a server's tags by key.
	ServerTags(ctx context.Context, project phone.ProjectID, id phone.ServerID) ([]phone.Tag, error)
	// AddTags gives a server more tags, decided by phone.MergeTags.
	AddTags(ctx context.Context, project phone.ProjectID, id phone.ServerID, tags []phone.Tag) error
	// RemoveTags takes tags from a server: those of a key and, where one is given, its value. What it does not have is no error.
	RemoveTags(ctx context.Context, project phone.ProjectID, id phone.ServerID, tags []phone.Tag) error
	// ProjectTags gives a page of the keys of all servers' tags with their values, each in order, and how many keys there are.
	ProjectTags(ctx context.Context, project phone.ProjectID, offset, limit int) ([]phone.TagValues, int, error)
	// TaggedServers gives a page of servers, created last first, and how many match in all.
	TaggedServers(ctx context.Context, filter TagFilter) ([]phone.TaggedServer, int, error)
}

// TagFilter chooses servers by their tags; zero fields choose nothing.
type TagFilter struct {
	Project phone.ProjectID
	// Tags must all be there, each with one of its values; with any value where it has none.
	Tags     []phone.TagValues
	Untagged bool   // only servers without tags
	Name     string // the whole name
	Offset   int
	Limit    int
}

// The most that a filter by tags may name [SDK model_list_resource_instances_request_body.go].
const (
	maxFilterKeys   = 10
	maxFilterValues = 10
)

// ServerTags gives a server's tags by key.
func (s *Service) ServerTags(ctx context.Context, caller account.Caller, project phone.ProjectID, id phone.ServerID) ([]phone.Tag, error) {
	if err := Authorise(caller, project, ActionTagsList); err != nil {
		return nil, err
	}
	if !phone.ValidID(id) {
		return nil, errNoServer
	}
	return s.store.ServerTags(ctx, project, id)
}

// AddTags gives a server more tags; a key that it has gets the new value.
func (s *Service) AddTags(ctx context.Context, caller account.Caller, project phone.ProjectID, id phone.ServerID, tags []phone.Tag) error {
	return s.changeTags(ctx, caller, project, id, tags, false, s.store.AddTags)
}

// RemoveTags takes tags from a server; a tag without a value stands for whatever value its key has.
func (s *Service) RemoveTags(ctx context.Context, caller account.Caller, project phone.ProjectID, id phone.ServerID, tags []phone.Tag) error {
	return s.changeTags(ctx, caller, project, id, tags, true, s.store.RemoveTags)
}

func (s *Service) changeTags(ctx context.Context, caller account.Caller, project phone.ProjectID, id phone.ServerID, tags []phone.Tag, remove bool,
	change func(context.Context, phone.ProjectID, phone.ServerID, []phone.Tag) error) error {
	if err := Authorise(caller, project, ActionTagsUpdate); err != nil {
		return err
	}
	if !phone.ValidID(id) {
		return errNoServer
	}
	if err := phone.CheckTags(tags, remove); err != nil {
		return err
	}
	return change(ctx, project, id, tags)
}

// ProjectTags gives one page of the keys of the project's tags with their values, and how many keys there are.
func (s *Service) ProjectTags(ctx context.Context, caller account.Caller, project phone.ProjectID, offset, limit int) ([]phone.TagValues, int, error) {
	if err := Authorise(caller, project, ActionTagsList); err != nil {
		return nil, 0, err
	}
	limit, err := page(offset, limit)
	if err != nil {
		return nil, 0, err
	}
	return s.store.ProjectTags(ctx, project, offset, limit)
}

// TaggedServers gives one page of the servers that the filter chooses, with their tags, and how many it chooses in all.
func (s *Service) TaggedServers(ctx context.Context, caller account.Caller, filter TagFilter) ([]phone.TaggedServer, int, error) {
	if err := Authorise(caller, filter.Project, ActionTagsList); err != nil {
		return nil, 0, err
	}
	if err := checkTagFilter(filter); err != nil {
		return nil, 0, err
	}
	var err error
	if filter.Limit, err = page(filter.Offset, filter.Limit); err != nil {
		return nil, 0, err
	}
	return s.store.TaggedServers(ctx, filter)
}

func checkTagFilter(filter TagFilter) error {
	bad := func(field, format string, args ...any) error {
		return &phone.Error{Code: phone.Invalid, Reason: phone.ReasonTagInvalid, Field: field, Msg: field + " " + fmt.Sprintf(format, args...)}
	}
	if len(filter.Tags) > maxFilterKeys {
		return bad("tags", "may have at most %d elements", maxFilterKeys)
	}
	if filter.Untagged && len(filter.Tags) > 0 {
		return bad("without_any_tag", "cannot stand beside tags")
	}
	if !searchable(filter.Name, 4*maxPhoneName) {
		return bad("matches", "has a name that no server can have")
	}
	keys := map[string]bool{}
	for i, t := range filter.Tags {
		field := fmt.Sprintf("tags[%d]", i)
		if t.Key == "" || !searchable(t.Key, 4*127) || keys[t.Key] {
			return bad(field+".key", "must be a key, and stand once")
		}
		keys[t.Key] = true
		if len(t.Values) > maxFilterValues {
			return bad(field+".values", "may have at most %d elements", maxFilterValues)
		}
		values := map[string]bool{}
		for _, v := range t.Values {
			if !searchable(v, 4*255) || values[v] {
				return bad(field+".values", "must be values, each once")
			}
			values[v] = true
		}
	}
	return nil
}
