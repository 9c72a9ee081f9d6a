package docker

import (
	"bytes"
	"context"
	"errors"
	"io"
	"sync"

	"github.com/moby/moby/client"

	"github.com/lethe-cloud/lethe/internal/imagetar"
	"github.com/lethe-cloud/lethe/internal/phone"
)

// helperImage gives the image to empty volumes with; the first call on a host brings it there.
func (h *host) helperImage(ctx context.Context) (string, error) {
	h.helper.mu.Lock()
	known := h.helper.image
	h.helper.mu.Unlock()
	if known != "" {
		return known, nil
	}
	image, err := h.bringHelperImage(ctx)
	if err != nil {
		return "", err
	}
	h.helper.mu.Lock()
	h.helper.image = image
	h.helper.mu.Unlock()
	return image, nil
}

// forgetHelperImage makes the next call look for the image again.
func (h *host) forgetHelperImage() {
	h.helper.mu.Lock()
	defer h.helper.mu.Unlock()
	h.helper.image = ""
}

func (h *host) bringHelperImage(ctx context.Context) (string, error) {
	if h.helper.configured != "" {
		identity, err := h.prepare(ctx, h.helper.configured)
		return identity.ID, err
	}
	version, err := h.api.ServerVersion(ctx, client.ServerVersionOptions{})
	if err != nil {
		return "", classify("ask for the architecture", err)
	}
	image, err := h.helper.images.tar(version.Arch)
	if err != nil {
		return "", err
	}
	identity, err := h.inspectImage(ctx, image.Reference)
	if !isNotFound(err) {
		return identity.ID, err
	}
	h.logger.InfoContext(ctx, "loading the volume helper's image", "reference", image.Reference)
	if err := h.load(ctx, image); err != nil {
		return "", err
	}
	identity, err = h.inspectImage(ctx, image.Reference)
	return identity.ID, err
}

// load sends an image to the host.
func (h *host) load(ctx context.Context, image *imagetar.Tar) error {
	r, w := io.Pipe()
	written := make(chan struct{})
	go func() {
		defer close(written)
		_ = w.CloseWithError(image.Write(w)) // the reader gets the error
	}()
	defer func() { _ = r.Close(); <-written }()
	loaded, err := h.api.ImageLoad(ctx, r, client.ImageLoadWithQuiet(true))
	if err != nil {
		return classify("load the volume helper's image", err)
	}
	defer loaded.Close()
	said, err := io.ReadAll(io.LimitReader(loaded, 64<<10))
	if err != nil {
		return classify("load the volume helper's image", err)
	}
	if bytes.Contains(said, []byte(`"errorDetail"`)) {
		return phone.Errorf(phone.Internal, phone.ReasonEraseFailed, "the volume helper's image could not be loaded: %s", said)
	}
	return nil
}

// helperImages makes lethe's own helper image once per architecture.
type helperImages struct {
	binary func(arch string) (string, error)

	mu   sync.Mutex
	tars map[string]*imagetar.Tar
}

func (i *helperImages) tar(arch string) (*imagetar.Tar, error) {
	i.mu.Lock()
	defer i.mu.Unlock()
	if t := i.tars[arch]; t != nil {
		return t, nil
	}
	t, err := i.make(arch)
	if err != nil {
		return nil, &phone.Error{
			Code: phone.Unsupported, Reason: phone.ReasonEraseFailed, Err: err,
			Msg: "there is no program to empty volumes with on a host of architecture " + arch +
				": name a helper_image in the server's template, or use a static build of lethe for that architecture (" + err.Error() + ")",
		}
	}
	if i.tars == nil {
		i.tars = map[string]*imagetar.Tar{}
	}
	i.tars[arch] = t
	return t, nil
}

func (i *helperImages) make(arch string) (*imagetar.Tar, error) {
	if i.binary == nil {
		return nil, errors.New("no helper program is configured")
	}
	path, err := i.binary(arch)
	if err != nil {
		return nil, err
	}
	return imagetar.New(imagetar.Image{
		Name: "lethe-volume-helper", Architecture: arch, Binary: path, Path: "/volume-helper", Dirs: []string{"/volumes"},
		Entrypoint: []string{"/volume-helper", HelperCommand}, Labels: map[string]string{labelKind: kindHelper},
	})
}
