package trace

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net/http"

	wire "go.opentelemetry.io/proto/otlp/trace/v1"
	"google.golang.org/protobuf/proto"
)

// client is OTLP over HTTP. That of OpenTelemetry brings gRPC along, which makes
// the binary a third larger.
type client struct {
	url  string
	http http.Client
}

// Start has nothing to start.
func (c *client) Start(context.Context) error { return nil }

// Stop closes the connections.
func (c *client) Stop(context.Context) error {
	c.http.CloseIdleConnections()
	return nil
}

// UploadTraces posts one batch. There is no second try, which would hold up what
// comes after.
func (c *client) UploadTraces(ctx context.Context, spans []*wire.ResourceSpans) error {
	// On the wire the same as the collector's ExportTraceServiceRequest.
	body, err := proto.Marshal(&wire.TracesData{ResourceSpans: spans})
	if err != nil {
		return err
	}
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, c.url, bytes.NewReader(body))
	if err != nil {
		return err
	}
	r.Header.Set("Content-Type", "application/x-protobuf")
	answer, err := c.http.Do(r)
	if err != nil {
		return err
	}
	defer answer.Body.Close()
	_, _ = io.CopyN(io.Discard, answer.Body, 64<<10) // so that the connection is kept
	if answer.StatusCode/100 != 2 {
		return fmt.Errorf("the collector answered %s", answer.Status)
	}
	return nil
}
