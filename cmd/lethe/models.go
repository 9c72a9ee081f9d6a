package main

import (
	"github.com/lethe-cloud/lethe/internal/config"
	"github.com/lethe-cloud/lethe/internal/fleet"
	"github.com/lethe-cloud/lethe/internal/phone"
)

// models gives the use cases what the configuration says of models.
func models(cfg config.Config) fleet.Models {
	var out fleet.Models
	for _, m := range cfg.PhoneModels {
		out.Phones = append(out.Phones, phone.PhoneModel{
			Name: m.Name, ServerModel: m.ServerModel, CPUs: m.CPUs, MemoryMB: m.MemoryMB(), DiskGB: m.Disk, Width: m.Width, Height: m.Height,
			DPI: m.DPI, FPS: m.FPS, ImageLabel: m.ImageLabel, Phones: m.Phones, Retired: m.Retired,
		})
	}
	for _, m := range cfg.ServerModels {
		out.Servers = append(out.Servers, phone.ServerModel{Name: m.Name, Type: m.Type, CPUs: m.CPUs, MemoryGB: m.Memory, GPU: m.GPU, Game: m.Game})
	}
	return out
}
