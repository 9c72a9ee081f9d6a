package cph

func (h *Handler) absentRoutes() []route { return nil }
