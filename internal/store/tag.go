package store

import (
	"context"
	"fmt"

	"github.com/lethe-cloud/lethe/internal/fleet"
	"github.com/lethe-cloud/lethe/internal/phone"
)

// ServerTags gives a server's tags by key; a server that is not the project's is NotFound with ReasonServerNotFound.
func (s *Store) ServerTags(ctx context.Context, project phone.ProjectID, id phone.ServerID) ([]phone.Tag, error) {
	var tags []phone.Tag
	err := s.view(ctx, func(t *tx) error {
		err := t.mustHave(ctx, `servers`, phone.ReasonServerNotFound, string(id), project)
		if err != nil {
			return err
		}
		tags, err = t.tags(ctx, id)
		return err
	})
	return tags, err
}

func (t *tx) tags(ctx context.Context, id phone.ServerID) ([]phone.Tag, error) {
	return all(ctx, t, func(row scanner) (phone.Tag, error) {
		var tag phone.Tag
		err := row.Scan(&tag.Key, &tag.Value)
		return tag, err
	}, `SELECT key, value FROM server_tags WHERE server_id = ? ORDER BY key`, id)
}

// tagInsert is a tag's row.
type tagInsert struct {
	Key   string `json:"key"`
	Value string `json:"value"`
}

// AddTags gives a server more tags, decided by phone.MergeTags. The server is locked, so that two calls do not go over the limit
// together.
func (s *Store) AddTags(ctx context.Context, project phone.ProjectID, id phone.ServerID, tags []phone.Tag) error {
	return s.tx(ctx, func(t *tx) error {
		if err := t.lockServer(ctx, project, id); err != nil {
			return err
		}
		present, err := t.tags(ctx, id)
		if err != nil {
			return err
		}
		merged, refused := phone.MergeTags(present, tags)
		if refused != nil {
			return refused
		}
		_, err = t.exec(ctx, `INSERT INTO server_tags (server_id, key, value) SELECT ?, v.key, v.value FROM `+t.records("key text", "value text")+`
			WHERE true ON CONFLICT (server_id, key) DO UPDATE SET value = excluded.value`, id, tagRows(merged))
		return err
	})
}

// RemoveTags takes tags from a server: those of a key and, where one is given, its value. What it does not have is no error.
func (s *Store) RemoveTags(ctx context.Context, project phone.ProjectID, id phone.ServerID, tags []phone.Tag) error {
	return s.tx(ctx, func(t *tx) error {
		if err := t.lockServer(ctx, project, id); err != nil {
			return err
		}
		_, err := t.exec(ctx, `DELETE FROM server_tags WHERE server_id = ? AND EXISTS (SELECT 1 FROM `+t.records("key text", "value text")+`
			WHERE v.key = server_tags.key AND v.value IN ('', server_tags.value))`, id, tagRows(tags))
		return err
	})
}

func tagRows(tags []phone.Tag) string {
	rows := make([]tagInsert, len(tags))
	for i, tag := range tags {
		rows[i] = tagInsert(tag)
	}
	return asJSON(rows)
}

// lockServer locks one of the project's servers.
func (t *tx) lockServer(ctx context.Context, project phone.ProjectID, id phone.ServerID) error {
	found, err := all(ctx, t, one[string], `SELECT id FROM servers WHERE id = ? AND project_id = ?`+t.lock, id, project)
	if err == nil && len(found) == 0 {
		return phone.Errorf(phone.NotFound, phone.ReasonServerNotFound, "there is no server with this id")
	}
	return err
}

// ProjectTags gives a page of the keys of all the project's tags with their values, each in order, and how many keys there are.
func (s *Store) ProjectTags(ctx context.Context, project phone.ProjectID, offset, limit int) ([]phone.TagValues, int, error) {
	const ofProject = ` FROM server_tags g JOIN servers s ON s.id = g.server_id WHERE s.project_id = ?`
	var found []phone.TagValues
	var total int
	err := s.view(ctx, func(t *tx) error {
		if err := t.row(ctx, `SELECT count(DISTINCT g.key)`+ofProject, project).Scan(&total); err != nil {
			return err
		}
		return t.each(ctx, func(row scanner) error {
			var tag phone.Tag
			if err := row.Scan(&tag.Key, &tag.Value); err != nil {
				return err
			}
			if n := len(found); n == 0 || found[n-1].Key != tag.Key {
				found = append(found, phone.TagValues{Key: tag.Key})
			}
			last := &found[len(found)-1]
			last.Values = append(last.Values, tag.Value)
			return nil
		}, `SELECT DISTINCT g.key, g.value`+ofProject+` AND g.key IN (SELECT DISTINCT g.key`+ofProject+` ORDER BY g.key LIMIT ? OFFSET ?) ORDER BY g.key, g.value`,
			append([]any{project, project}, page(offset, limit)...)...)
	})
	if err != nil {
		return nil, 0, err
	}
	return found, total, nil
}

// TaggedServers gives a page of the servers that the filter chooses, created last first, with their tags, and how many match in all.
func (s *Store) TaggedServers(ctx context.Context, f fleet.TagFilter) ([]phone.TaggedServer, int, error) {
	var w where
	w.text("project_id", string(f.Project))
	w.text("name", f.Name)
	if f.Untagged {
		w.add(`NOT EXISTS (SELECT 1 FROM server_tags g WHERE g.server_id = servers.id)`)
	}
	for _, tag := range f.Tags {
		if len(tag.Values) == 0 {
			w.add(`EXISTS (SELECT 1 FROM server_tags g WHERE g.server_id = servers.id AND g.key = ?)`, tag.Key)
		} else {
			w.add(`EXISTS (SELECT 1 FROM server_tags g WHERE g.server_id = servers.id AND g.key = ? AND `+s.in("g.value")+`)`, tag.Key, list(s.dialect, tag.Values))
		}
	}
	var found []phone.TaggedServer
	var total int
	err := s.view(ctx, func(t *tx) error {
		if err := t.row(ctx, `SELECT count(*) FROM servers`+w.String(), w.args...).Scan(&total); err != nil {
			return err
		}
		var err error
		found, err = all(ctx, t, func(row scanner) (phone.TaggedServer, error) {
			var server phone.TaggedServer
			err := row.Scan(&server.ID, &server.Name)
			return server, err
		}, `SELECT id, name FROM servers`+w.String()+` ORDER BY created_at DESC, id LIMIT ? OFFSET ?`, append(w.args, page(f.Offset, f.Limit)...)...)
		if err != nil {
			return err
		}
		return t.fillTags(ctx, found)
	})
	if err != nil {
		return nil, 0, err
	}
	return found, total, nil
}

// fillTags reads the tags of all these servers at once.
func (t *tx) fillTags(ctx context.Context, servers []phone.TaggedServer) error {
	ids, at := make([]phone.ServerID, len(servers)), map[phone.ServerID]int{}
	for i, server := range servers {
		ids[i], at[server.ID] = server.ID, i
	}
	err := t.each(ctx, func(row scanner) error {
		var id phone.ServerID
		var tag phone.Tag
		err := row.Scan(&id, &tag.Key, &tag.Value)
		server := &servers[at[id]]
		server.Tags = append(server.Tags, tag)
		return err
	}, `SELECT server_id, key, value FROM server_tags WHERE `+t.in("server_id")+` ORDER BY server_id, key`, list(t.dialect, ids))
	if err != nil {
		return fmt.Errorf("read tags: %w", err)
	}
	return nil
}
