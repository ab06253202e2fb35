package images

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"path"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/docker/docker/api/types/container"

	"github.com/preheat/preheat/sandbox/images"
)

func TestContainersThatAKilledBuilderLeftAreRemoved(t *testing.T) {
	var filter string
	var removed []string
	s := storeOn(t, func(r *http.Request) (*http.Response, error) {
		if r.Method == http.MethodDelete {
			removed = append(removed, path.Base(r.URL.Path))
			return answer(http.StatusConflict, strings.NewReader(`{"message": "removal is in progress"}`)), nil
		}
		filter = r.URL.Query().Get("filters")
		now := time.Now()
		return answer(http.StatusOK, strings.NewReader(fmt.Sprintf(`[{"Id": "old", "State": "running", "Created": %d}, {"Id": "young", "State": "exited", "Created": %d}]`,
			now.Add(-stepAge-time.Minute).Unix(), now.Add(-stepAge+time.Minute).Unix()))), nil
	})
	if err := s.Sweep(t.Context()); err != nil {
		t.Error(err)
	}
	if !slices.Equal(removed, []string{"old"}) || !strings.Contains(filter, LabelStep) {
		t.Errorf("removed %q of those with %s, want the old one of those with %s", removed, filter, LabelStep)
	}
}

func TestAStepsContainerIsLabelledAndHasNoNetwork(t *testing.T) {
	var sent struct {
		container.Config
		HostConfig container.HostConfig
	}
	s := storeOn(t, func(r *http.Request) (*http.Response, error) {
		switch body, err := io.ReadAll(r.Body); {
		case err != nil:
			return nil, err
		case strings.HasSuffix(r.URL.Path, "/containers/create"):
			return answer(http.StatusInternalServerError, strings.NewReader(`{"message": "enough"}`)), json.Unmarshal(body, &sent)
		}
		return answer(http.StatusNotFound, strings.NewReader("{}")), nil
	})
	step := images.Step{Language: "lua", Root: "sha256:abc", Command: []string{"true"}}
	if err := s.Run(t.Context(), step, nil); err == nil || !strings.Contains(err.Error(), "enough") {
		t.Fatalf("error %v, want the engine's", err)
	}
	if sent.Labels[LabelStep] != "lua" || sent.HostConfig.NetworkMode != "none" {
		t.Errorf("labels %v, network %q", sent.Labels, sent.HostConfig.NetworkMode)
	}
}
