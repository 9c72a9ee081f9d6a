package main

import (
	"strconv"

	"github.com/spf13/cobra"

	"github.com/lethe-cloud/lethe/api"
)

func newReplicaCommand(env *environment) *cobra.Command {
	return group("replica", "Look at the serving processes", newReplicaListCommand(env))
}

func newReplicaListCommand(env *environment) *cobra.Command {
	return &cobra.Command{
		Use: "list", Aliases: []string{"ls"},
		Short: "List the serving processes of the installation, the latest start first; for the first account only",
		Args:  exactArgs(0),
		RunE: func(cmd *cobra.Command, _ []string) error {
			c, err := env.client()
			if err != nil {
				return err
			}
			replicas, err := c.Replicas(cmd.Context())
			if err != nil {
				return err
			}
			return env.print(replicas, func() table { return replicaTable(replicas) })
		},
	}
}

func replicaTable(replicas []api.Replica) table {
	t := table{header: []string{"REPLICA ID", "ALIVE", "JOBS", "STARTED", "LEASE UNTIL"}}
	for _, r := range replicas {
		t.rows = append(t.rows, []string{r.ReplicaID, yesOrNo(r.Alive), strconv.Itoa(r.Jobs), moment(r.StartTime), moment(r.LeaseExpireTime)})
	}
	return t
}
