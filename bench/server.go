package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// Server is a running tokenwatch.
type Server struct {
	URL  string
	Key  string // of role admin
	cmd  *exec.Cmd
	done chan error
	log  *bytes.Buffer // what it wrote on standard error
}

// Start runs `tokenwatch serve` on dir, with further arguments, and returns once it
// is ready.
func Start(ctx context.Context, binary, dir string, further ...string) (*Server, error) {
	keys := filepath.Join(dir, "keys")
	cmd := exec.Command(binary, append([]string{"serve", "--data", filepath.Join(dir, "data"), "--keys", keys,
		"--http", "127.0.0.1:0", "--grpc", "127.0.0.1:0", "--json"}, further...)...)
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if err := cmd.Start(); err != nil {
		return nil, fmt.Errorf("start the server: %w", err)
	}
	s := &Server{cmd: cmd, done: make(chan error, 1), log: &stderr}
	ready := make(chan error, 1)
	go func() {
		lines := bufio.NewReader(stdout)
		line, err := lines.ReadBytes('\n')
		if err == nil {
			err = s.readReady(line)
		}
		ready <- err
		io.Copy(io.Discard, lines)
		s.done <- cmd.Wait()
	}()
	select {
	case err = <-ready:
	case <-time.After(60 * time.Second):
		err = errors.New("no ready line within a minute")
	case <-ctx.Done():
		err = ctx.Err()
	}
	if err != nil {
		s.Kill()
		return nil, fmt.Errorf("start the server: %w\n%s", err, stderr.String())
	}
	key, err := os.ReadFile(filepath.Join(keys, "admin.key"))
	if err != nil {
		s.Kill()
		return nil, err
	}
	s.Key = strings.TrimSpace(string(key))
	return s, nil
}

func (s *Server) readReady(line []byte) error {
	var ready struct{ HTTP string }
	if err := json.Unmarshal(line, &ready); err != nil || ready.HTTP == "" {
		return fmt.Errorf("the ready line is not what it should be: %w", err)
	}
	s.URL = "http://" + ready.HTTP
	return nil
}

// Kill ends the server at once, as a crash would, and waits until it is gone.
func (s *Server) Kill() {
	s.cmd.Process.Kill()
	s.wait()
}

// Stop asks the server to drain and end, and returns how it ended.
func (s *Server) Stop() error {
	s.cmd.Process.Signal(syscall.SIGTERM)
	return s.wait()
}

// Stderr is what a server that has ended wrote on standard error.
func (s *Server) Stderr() []byte { return s.log.Bytes() }

func (s *Server) wait() error {
	err := <-s.done
	s.done <- err // for whoever asks again
	return err
}

// CPU is the user and system time the server has used, in seconds.
func (s *Server) CPU() float64 {
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", s.cmd.Process.Pid))
	if err != nil {
		return 0
	}
	fields := strings.Fields(string(b[bytes.LastIndexByte(b, ')')+1:]))
	user, _ := strconv.ParseFloat(fields[11], 64)
	system, _ := strconv.ParseFloat(fields[12], 64)
	return (user + system) / 100 // clock ticks, 100 a second on Linux
}

// finerCPU is CPU to the nanosecond, of the threads there are now: the difference of
// two values close to each other is what was used between them.
func (s *Server) finerCPU() (seconds float64) {
	tasks, _ := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/schedstat", s.cmd.Process.Pid))
	for _, task := range tasks {
		b, err := os.ReadFile(task)
		if err != nil {
			continue // it has ended
		}
		ran, _, _ := strings.Cut(string(b), " ")
		ns, _ := strconv.ParseInt(ran, 10, 64)
		seconds += float64(ns) / 1e9
	}
	return seconds
}

// PeakRSS is the most memory the server held, in MB.
func (s *Server) PeakRSS() float64 { return s.memory("VmHWM:") }

// RSS is the memory the server holds, in MB.
func (s *Server) RSS() float64 { return s.memory("VmRSS:") }

func (s *Server) memory(field string) float64 {
	b, _ := os.ReadFile(fmt.Sprintf("/proc/%d/status", s.cmd.Process.Pid))
	for line := range strings.Lines(string(b)) {
		if v, ok := strings.CutPrefix(line, field); ok {
			kb, _ := strconv.ParseFloat(strings.Fields(v)[0], 64)
			return kb / 1024
		}
	}
	return 0
}

// get fetches a path with the admin key.
func (s *Server) get(ctx context.Context, path string) ([]byte, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, s.URL+path, nil)
	if err != nil {
		return nil, err
	}
	req.Header.Set("Authorization", "Bearer "+s.Key)
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err == nil && resp.StatusCode != http.StatusOK {
		err = fmt.Errorf("GET %s: %s", path, resp.Status)
	}
	return body, err
}

// metric reads the sum of a metric over its labels; it is an error if there is
// none of that name.
func (s *Server) metric(ctx context.Context, name string) (float64, error) {
	byLabels, err := s.metrics(ctx, name)
	if err == nil && len(byLabels) == 0 {
		err = fmt.Errorf("the server has no metric %s", name)
	}
	sum := 0.0
	for _, v := range byLabels {
		sum += v
	}
	return sum, err
}

func (s *Server) metrics(ctx context.Context, name string) (map[string]float64, error) {
	body, err := s.get(ctx, "/metrics")
	if err != nil {
		return nil, err
	}
	out := map[string]float64{}
	for line := range strings.Lines(string(body)) {
		rest, ok := strings.CutPrefix(strings.TrimSpace(line), name)
		if !ok || rest == "" || rest[0] != '{' && rest[0] != ' ' {
			continue
		}
		at := strings.LastIndexByte(rest, ' ')
		v, err := strconv.ParseFloat(rest[at+1:], 64)
		if err != nil {
			return nil, err
		}
		out[rest[:at]] = v
	}
	return out, nil
}

// AwaitEngine returns once the engine has read what is in the log now.
func (s *Server) AwaitEngine(ctx context.Context) error {
	last, err := s.metric(ctx, "tokenwatch_log_last_offset")
	if err != nil {
		return err
	}
	for {
		read, err := s.metric(ctx, "tokenwatch_engine_read_offset")
		if err != nil {
			return err
		}
		if read >= last {
			return nil
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(100 * time.Millisecond): // asking more often would be a good part of the server's work
		}
	}
}

// Stages returns the seconds per million events that each stage took.
func (s *Server) Stages(ctx context.Context, events int) (map[string]float64, error) {
	byLabels, err := s.metrics(ctx, "tokenwatch_stage_seconds_sum")
	if err != nil {
		return nil, err
	}
	out := map[string]float64{}
	for labels, v := range byLabels {
		_, stage, _ := strings.Cut(labels, `stage="`)
		stage, _, _ = strings.Cut(stage, `"`)
		out[stage] = v / float64(events) * 1e6
	}
	return out, nil
}

// DiskAfterStop stops the server and returns the bytes per event it leaves on
// disk, without the ballast file that is there to be given up when the disk fills.
func (s *Server) DiskAfterStop(events int, dir string) (float64, error) {
	if err := s.Stop(); err != nil {
		return 0, fmt.Errorf("stop the server: %w", err)
	}
	total, err := size(filepath.Join(dir, "data"))
	return float64(total) / float64(events), err
}

// size is what the files of a store take, in bytes, without its ballast. Files may go
// while they are counted.
func size(dir string) (total int64, err error) {
	err = filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
		if err != nil || d.IsDir() || isBallast(d.Name()) {
			return nil
		}
		if info, err := d.Info(); err == nil {
			total += info.Size()
		}
		return nil
	})
	return total, err
}

// isBallast tells the file that is only there to be given up when the disk fills.
func isBallast(name string) bool { return strings.Contains(strings.ToLower(name), "ballast") }
