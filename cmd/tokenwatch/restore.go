package main

import (
	"context"
	"fmt"

	"github.com/tokenwatch/tokenwatch/storage/history"
	"github.com/tokenwatch/tokenwatch/storage/local"
)

// restoreCmd makes a store of a backup.
type restoreCmd struct {
	Backup  string `arg:"" help:"Directory of the backup."`
	Data    string `required:"" help:"Directory of the new store; it must be empty or not exist." placeholder:"DIR"`
	Keys    string `help:"Directory of the keys of the store that was backed up; default $$XDG_CONFIG_HOME/tokenwatch/<store id>." placeholder:"DIR"`
	NewKeys string `help:"Directory for the keys of the new store; default as for --keys." placeholder:"DIR"`
}

// Help has an example.
func (restoreCmd) Help() string {
	return "The backup is compared with its history before. The new store has an id and an origin of its own, and its " +
		"history says from where it goes on: checkpoints of the old one do not hold for it. " +
		"The fingerprint key is taken over, so that tokens keep their ids; a new administrator's key is made at the first start.\n\n" +
		"Example:\n\n    tokenwatch restore ./backup --data ./restored"
}

// Run restores the store, then gives it keys.
func (cmd *restoreCmd) Run(ctx context.Context, c *console) error {
	id, err := local.StoreID(nil, cmd.Backup)
	if err != nil {
		return err
	}
	if id == "" {
		return usage("there is no backup in %s", cmd.Backup)
	}
	from, err := keysDir(c, cmd.Keys, cmd.Data, id)
	if err != nil {
		return err
	}
	old := &secrets{dir: history.Dir{Path: from}}
	master, err := old.readFingerprint(id)
	if err != nil {
		return fmt.Errorf("read keys in %s: %w", from, err)
	}
	cfg := defaultConfig()
	cfg.Data = cmd.Data
	conf := cfg.store()
	conf.Clock, conf.Rand, conf.Logger = c.now, c.random, c.logger()
	restored, err := local.Restore(ctx, conf, cmd.Backup)
	if err != nil {
		return err
	}
	to, err := keysDir(c, cmd.NewKeys, cmd.Data, restored.NewID)
	if err != nil {
		return err
	}
	if err := adoptSecrets(to, restored.NewID, master, c.random); err != nil {
		return err
	}
	if c.json {
		return c.print(struct {
			local.Copy
			Keys string `json:"keys"`
		}{restored, to})
	}
	return say(c.stdout, "%d log entries, compared with %s, in %s; keys in %s", restored.Entries, leaves(restored.Leaves), shown(cmd.Data), shown(to))
}
