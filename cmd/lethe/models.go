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

// pool gives the use cases the hosts that projects may take.
func pool(cfg config.Config) []phone.PoolHost {
	var out []phone.PoolHost
	for _, h := range cfg.PoolHosts {
		out = append(out, phone.PoolHost{
			Name: h.Name, Driver: h.Driver, Endpoint: h.Endpoint, Config: h.Template, ServerModel: h.ServerModel, Phones: h.Phones,
			MaxConcurrentBoots: h.ConcurrentBoots, BootTimeout: h.BootTimeout, PortBase: h.PortBase, Keypair: h.Keypair, Accounts: h.Accounts,
		})
	}
	return out
}

// keypairs gives the use cases and the engine whose adb phones can let in.
func keypairs(cfg config.Config) []phone.Keypair {
	var out []phone.Keypair
	for _, k := range cfg.Keypairs {
		out = append(out, phone.Keypair{Name: k.Name, PublicKeys: k.PublicKeys, Accounts: k.Accounts})
	}
	return out
}
