package main

import (
	"cmp"
	"context"
	"fmt"
	"net/netip"
	"os"
	"strings"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"google.golang.org/grpc/status"

	"github.com/tokenwatch/tokenwatch"
	"github.com/tokenwatch/tokenwatch/api/notify"
	v1 "github.com/tokenwatch/tokenwatch/api/v1"
	pb "github.com/tokenwatch/tokenwatch/proto/tokenwatch/v1"
	"github.com/tokenwatch/tokenwatch/storage/local"
)

type notifyConfig struct {
	Link    string         `yaml:"link" doc:"URL of this server as people reach it, for links in what is sent"`
	Allow   []string       `yaml:"allow" doc:"networks that may be dialled although they are not public, as CIDR"`
	Targets []targetConfig `yaml:"targets" doc:"whom to tell: name, kind, url (or url_file, url_env), secret_file (or secret_env), tenant, filter"`
}

// targetConfig is whom findings are told to. What may be a secret comes from a
// file or from the environment.
type targetConfig struct {
	Name       string `yaml:"name"`
	Kind       string `yaml:"kind"`
	URL        string `yaml:"url"`
	URLFile    string `yaml:"url_file"`
	URLEnv     string `yaml:"url_env"`
	SecretFile string `yaml:"secret_file"`
	SecretEnv  string `yaml:"secret_env"`
	Tenant     string `yaml:"tenant"`
	Filter     string `yaml:"filter"`
}

// newPost makes the notifiers that the configuration names.
func newPost(ctx context.Context, c *console, w *works, suppressor *v1.Suppressor, registry *prometheus.Registry) (*notify.Post, error) {
	conf := notify.Config{
		Store: w.site.store, Covers: suppressor.Covers, Link: w.cfg.Notify.Link,
		Metrics: registry, Logger: w.log,
	}
	for _, text := range w.cfg.Notify.Allow {
		p, err := netip.ParsePrefix(text)
		if err != nil {
			return nil, usage("notify.allow: %q is not a network like 10.0.0.0/8", text)
		}
		conf.Guard.Allow = append(conf.Guard.Allow, p)
	}
	for i := range w.cfg.Notify.Targets {
		t, err := w.cfg.Notify.Targets[i].target(c, newWall(w.site.secrets.seal).names)
		if err != nil {
			return nil, usage("notify.targets[%d]: %w", i, err)
		}
		conf.Targets = append(conf.Targets, t)
	}
	post, err := notify.New(ctx, conf)
	if local.ExitCode(err) != 0 {
		return nil, err // the store's, not the configuration's
	}
	if err != nil {
		return nil, usage("%w", err)
	}
	return post, nil
}

// target reads what a target needs from where it is.
func (t *targetConfig) target(c *console, names v1.Names) (notify.Target, error) {
	out := notify.Target{Name: t.Name, Kind: t.Kind, Tenant: t.Tenant}
	var err error
	if out.URL, err = c.secretOf("url", t.URL, t.URLFile, t.URLEnv); err != nil {
		return out, err
	}
	if out.Secret, err = c.secretOf("secret", "", t.SecretFile, t.SecretEnv); err != nil {
		return out, err
	}
	wanted, err := v1.FindingFilter(t.Filter, func(name string) []string {
		return names(cmp.Or(t.Tenant, tokenwatch.DefaultTenant), name)
	})
	if err != nil {
		return out, fmt.Errorf("filter: %s", status.Convert(err).Message())
	}
	if t.Filter != "" {
		out.Wanted = wanted.Match
	}
	return out, nil
}

// secretOf is a value given as it is, in a file or in the environment.
func (c *console) secretOf(what, value, file, env string) (string, error) {
	given := 0
	for _, s := range []string{value, file, env} {
		if s != "" {
			given++
		}
	}
	switch {
	case given > 1:
		return "", fmt.Errorf("%s is given in more than one way", what)
	case file != "":
		b, err := os.ReadFile(file)
		if err != nil {
			return "", fmt.Errorf("read %s_file: %w", what, err)
		}
		return strings.TrimSpace(string(b)), nil
	case env != "":
		if value = strings.TrimSpace(c.getenv(env)); value == "" {
			return "", fmt.Errorf("%s_env: %s is not set", what, env)
		}
	}
	return value, nil
}

// notifyCmd is about what others are told of findings.
type notifyCmd struct {
	Targets notifyTargetsCmd `cmd:"" help:"List whom findings are told to, and how that goes."`
	Letters notifyLettersCmd `cmd:"" help:"List what is to be told, was told or was given up."`
	Retry   notifyRetryCmd   `cmd:"" help:"Try again what was given up."`
	Kinds   notifyKindsCmd   `cmd:"" help:"List the kinds of targets."`
}

// Help has an example.
func (notifyCmd) Help() string {
	return "Example:\n\n    tokenwatch notify letters --filter state=dead"
}

type notifyKindsCmd struct{}

// Help has an example.
func (notifyKindsCmd) Help() string { return "Example:\n\n    tokenwatch notify kinds" }

// Run prints the table of kinds.
func (notifyKindsCmd) Run(c *console) error {
	var t namesAndDocs
	for _, e := range notify.All {
		t.add(e.Name, e.Doc)
	}
	return t.write(c)
}

type notifyTargetsCmd struct{ askFlags }

// Help has an example.
func (notifyTargetsCmd) Help() string { return "Example:\n\n    tokenwatch notify targets" }

// Run prints the targets.
func (cmd *notifyTargetsCmd) Run(ctx context.Context, c *console) error {
	return cmd.rest(ctx, c, "", func(client *client) error {
		var m pb.ListTargetsResponse
		if err := client.call(ctx, "GET", "/v1/notifications/targets", nil, nil, &m); err != nil {
			return err
		}
		t := table{head: []string{"name", "kind", "pending", "held", "sent", "dead", "last error", "delivered"}, keep: []int{0}}
		for _, x := range m.GetTargets() {
			if c.json {
				if err := c.printMessage(x); err != nil {
					return err
				}
				continue
			}
			t.add(x.GetName(), x.GetKind(), fmt.Sprint(x.GetPending()), fmt.Sprint(x.GetHeld()), fmt.Sprint(x.GetSent()),
				fmt.Sprint(x.GetDead()), x.GetError(), when(x.GetDelivered().AsTime()))
		}
		return t.write(c)
	})
}

type notifyLettersCmd struct {
	askFlags
	Filter string `help:"Only those that this filter lets through." placeholder:"FILTER"`
}

// Help has an example.
func (notifyLettersCmd) Help() string {
	return "Example:\n\n    tokenwatch notify letters --filter state=dead"
}

// Run prints the letters.
func (cmd *notifyLettersCmd) Run(ctx context.Context, c *console) error {
	return cmd.rest(ctx, c, "", func(client *client) error {
		t := table{head: []string{"state", "id", "event", "attempts", "error", "made", "next"}, keep: []int{1}}
		for x, err := range pages(func(token string) ([]*pb.Letter, string, error) {
			var m pb.ListLettersResponse
			err := client.call(ctx, "GET", "/v1/notifications/letters", filterQuery(token, cmd.Filter, ""), nil, &m)
			return m.GetLetters(), m.GetNextPageToken(), err
		}) {
			if err != nil {
				return err
			}
			if c.json {
				if err := c.printMessage(x); err != nil {
					return err
				}
				continue
			}
			t.add(x.GetState(), x.GetId(), x.GetEvent(), fmt.Sprint(x.GetAttempts()), x.GetError(),
				when(x.GetMade().AsTime()), when(x.GetNext().AsTime()))
		}
		return t.write(c)
	})
}

type notifyRetryCmd struct {
	askFlags
	ID string `arg:"" help:"Id of the letter, as notify letters shows it."`
}

// Help has an example.
func (notifyRetryCmd) Help() string {
	return "Example:\n\n    tokenwatch notify retry soc.fnd_4qk3x7f2mzj5n6w2c3v4b5a6"
}

// Run has a letter tried again.
func (cmd *notifyRetryCmd) Run(ctx context.Context, c *console) error {
	return cmd.rest(ctx, c, "", func(client *client) error {
		var m pb.Letter
		if err := client.call(ctx, "POST", "/v1/notifications/letters/"+escapePath(cmd.ID)+":retry", nil, nil, &m); err != nil {
			return err
		}
		if c.json {
			return c.printMessage(&m)
		}
		return say(c.stdout, "%s is %s", shown(m.GetId()), shown(m.GetState()))
	})
}

// when is a time in a table; nothing where there is none.
func when(t time.Time) string {
	if t.IsZero() || t.Unix() == 0 {
		return ""
	}
	return t.UTC().Format("2006-01-02 15:04:05Z")
}
