package cph

func (h *Handler) tagRoutes() []route { return nil }
