package main

import (
	"context"
	"errors"
	"log/slog"
	"path/filepath"
	"time"

	"github.com/tokenwatch/tokenwatch/storage/local"
)

// backupCmd copies a stopped store. A server makes its backups itself, as the
// configuration says.
type backupCmd struct {
	Data string `help:"Directory of the store." default:"./data" placeholder:"DIR"`
	Out  string `required:"" help:"Directory to write to; it must be empty or not exist." placeholder:"DIR"`
}

// Help has an example.
func (backupCmd) Help() string {
	return "The store must be stopped; a running server makes backups by itself: see backup in the configuration. " +
		"The copy is opened and compared with its history before it is called good. " +
		"The keys are not in it: back them up apart, or the copy cannot be used.\n\n" +
		"Example:\n\n    tokenwatch backup --data ./data --out ./backup"
}

// Run writes the backup and says what is in it.
func (cmd *backupCmd) Run(ctx context.Context, c *console) (err error) {
	store, err := openStopped(c, cmd.Data)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, store.Close()) }()
	copied, err := store.Backup(ctx, cmd.Out)
	if err != nil {
		return err
	}
	if c.json {
		return c.print(copied)
	}
	return say(c.stdout, "%d log entries, compared with %s, in %s", copied.Entries, leaves(copied.Leaves), shown(cmd.Out))
}

// backups makes a backup at intervals while the server runs. One that fails is
// told, and the next is tried.
func backups(ctx context.Context, store *local.Store, cfg backupConfig, now func() time.Time, log *slog.Logger) error {
	ticker := time.NewTicker(cfg.Every)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-ticker.C:
		}
		dir := filepath.Join(cfg.Dir, now().UTC().Format("20060102T150405.000Z"))
		copied, err := store.Backup(ctx, dir)
		switch {
		case ctx.Err() != nil:
			return nil
		case err != nil:
			log.Error("no backup", "dir", dir, "err", err)
		default:
			log.Info("backup", "dir", dir, "entries", copied.Entries, "leaves", copied.Leaves, "root", copied.Root)
		}
	}
}
