package docker

import (
	"context"
	"strings"

	"github.com/moby/moby/client"

	"github.com/lethe-cloud/lethe/internal/phone"
)

// Prepare looks for the image on the host and pulls it when it is not there. The identity is the image's id, and its
// repository digest when it came from a registry.
func (d *Driver) Prepare(ctx context.Context, image phone.Image) (phone.ImageIdentity, error) {
	identity, err := d.host.prepare(ctx, image.Reference)
	if err != nil {
		return phone.ImageIdentity{}, err
	}
	return identity, nil
}

func (h *host) prepare(ctx context.Context, reference string) (phone.ImageIdentity, error) {
	if err := h.negotiate(ctx); err != nil {
		return phone.ImageIdentity{}, err
	}
	identity, err := h.inspectImage(ctx, reference)
	if !isNotFound(err) {
		return identity, err
	}
	h.logger.InfoContext(ctx, "pulling image", "reference", reference)
	if err := h.pull(ctx, reference); err != nil {
		return phone.ImageIdentity{}, err
	}
	return h.inspectImage(ctx, reference)
}

func (h *host) inspectImage(ctx context.Context, reference string) (phone.ImageIdentity, error) {
	image, err := h.api.ImageInspect(ctx, reference)
	if err != nil {
		return phone.ImageIdentity{}, notToBeHad(reference, "look for the image", err)
	}
	return phone.ImageIdentity{ID: image.ID, Digest: repositoryDigest(reference, image.RepoDigests)}, nil
}

// wantImage fails unless an image that was prepared is still on the host.
func (h *host) wantImage(ctx context.Context, id string) error {
	_, err := h.api.ImageInspect(ctx, id)
	if err = classify("look for the image", err); isNotFound(err) {
		return noImage(err)
	}
	return err
}

// repositoryDigest chooses, of the digests under which repositories know the image, that of the reference's repository.
func repositoryDigest(reference string, digests []string) string {
	repository, _, _ := strings.Cut(reference, "@")
	if slash, colon := strings.LastIndex(repository, "/"), strings.LastIndex(repository, ":"); colon > slash {
		repository = repository[:colon]
	}
	for _, text := range digests {
		name, digest, _ := strings.Cut(text, "@")
		if name == repository || strings.HasSuffix(name, "/"+repository) || strings.HasSuffix(repository, "/"+name) {
			return digest
		}
	}
	return ""
}

// pull reads the daemon's report to its end: that is when the image is there, and an error may be its last line.
func (h *host) pull(ctx context.Context, reference string) error {
	pulled, err := h.api.ImagePull(ctx, reference, client.ImagePullOptions{})
	if err != nil {
		return notToBeHad(reference, "pull the image", err)
	}
	defer pulled.Close()
	return notToBeHad(reference, "pull the image", pulled.Wait(ctx))
}

// notToBeHad makes the driver contract's error of whatever keeps an image away: only a daemon that does not answer is
// something else. What the daemon says of a registry that does not answer is a reason like any other.
func notToBeHad(reference, doing string, err error) error {
	if err == nil {
		return nil
	}
	if isContext(err) || client.IsErrConnectionFailed(err) || isNetwork(err) {
		return classify(doing, err)
	}
	return &phone.Error{
		Code: phone.NotFound, Reason: phone.ReasonImageNotFound, Err: err,
		Msg: "the image " + reference + " is not to be had: check its reference, and that the host reaches the registry (Docker could not " + doing + ": " + said(err) + ")",
	}
}
