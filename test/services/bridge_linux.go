package main

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"unsafe"

	"golang.org/x/sys/unix"
)

// network is what one copy of this command uses of the machine's network: a /16 nobody else uses, its lower half on the
// bridge of Docker's default network, its upper half for networks that tests make.
type network struct {
	bridge string
	pool   string
}

// newBridge makes the bridge of a /16 that no interface of this machine uses.
func (f *folder) newBridge() (network, error) {
	taken, err := interfacePrefixes()
	if err != nil {
		return network{}, err
	}
	for _, block := range freeBlocks(taken, rand.IntN(256)) {
		first := block.Addr().As4()
		n := network{
			bridge: fmt.Sprintf("lethe-%d-%d", first[0], first[1]),
			pool:   netip.PrefixFrom(netip.AddrFrom4([4]byte{first[0], first[1], 128, 0}), 17).String(),
		}
		err := addBridge(n.bridge, netip.PrefixFrom(netip.AddrFrom4([4]byte{first[0], first[1], 0, 1}), 17))
		if errors.Is(err, unix.EEXIST) {
			continue // another copy was faster
		}
		if err != nil {
			return network{}, err
		}
		// Whoever cleans up finds the bridges by their addresses.
		return n, os.WriteFile(filepath.Join(f.path, "network"), []byte(block.String()), 0o600)
	}
	return network{}, errors.New("all of 10.0.0.0/8 is in use on this machine")
}

// freeBlocks gives the /16 networks of 10.0.0.0/8, from 10.start on, that overlap with no network in use.
func freeBlocks(taken []netip.Prefix, start int) []netip.Prefix {
	var free []netip.Prefix
	for i := range 256 {
		block := netip.PrefixFrom(netip.AddrFrom4([4]byte{10, byte(start + i), 0, 0}), 16)
		if !slices.ContainsFunc(taken, block.Overlaps) {
			free = append(free, block)
		}
	}
	return free
}

func interfacePrefixes() ([]netip.Prefix, error) {
	addresses, err := net.InterfaceAddrs()
	if err != nil {
		return nil, err
	}
	var prefixes []netip.Prefix
	for _, address := range addresses {
		if prefix, err := netip.ParsePrefix(address.String()); err == nil {
			prefixes = append(prefixes, prefix)
		}
	}
	return prefixes, nil
}

// removeBridges removes the bridges whose address lies in the folder's block: Docker's default one and those of networks
// that tests made.
func (f *folder) removeBridges() error {
	content, err := os.ReadFile(filepath.Join(f.path, "network"))
	if errors.Is(err, os.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	block, err := netip.ParsePrefix(strings.TrimSpace(string(content)))
	if err != nil {
		return err
	}
	interfaces, err := net.Interfaces()
	if err != nil {
		return err
	}
	var errs []error
	for _, i := range interfaces {
		addresses, err := i.Addrs()
		if err != nil {
			continue // it has gone meanwhile
		}
		for _, address := range addresses {
			if prefix, err := netip.ParsePrefix(address.String()); err == nil && block.Contains(prefix.Addr()) {
				errs = append(errs, removeBridge(i.Name))
			}
		}
	}
	return errors.Join(errs...)
}

// addBridge makes a bridge, gives it an address and switches it on: `ip link add`, `ip address add` and `ip link set up`
// without the programs, which a machine may not have.
func addBridge(name string, address netip.Prefix) error {
	socket, err := controlSocket()
	if err != nil {
		return err
	}
	defer unix.Close(socket)
	if err := bridgeControl(socket, unix.SIOCBRADDBR, name); err != nil {
		return fmt.Errorf("make bridge %s: %w", name, err)
	}
	mask := net.CIDRMask(address.Bits(), 32)
	ip := address.Addr().As4()
	err = errors.Join(
		setAddress(socket, unix.SIOCSIFADDR, name, ip[:]),
		setAddress(socket, unix.SIOCSIFNETMASK, name, mask),
		switchInterface(socket, name, true),
	)
	if err != nil {
		return errors.Join(fmt.Errorf("set up bridge %s: %w", name, err), removeBridge(name))
	}
	return nil
}

// removeBridge switches a bridge off and removes it.
func removeBridge(name string) error {
	socket, err := controlSocket()
	if err != nil {
		return err
	}
	defer unix.Close(socket)
	if err := switchInterface(socket, name, false); err != nil {
		return fmt.Errorf("switch off bridge %s: %w", name, err)
	}
	if err := bridgeControl(socket, unix.SIOCBRDELBR, name); err != nil {
		return fmt.Errorf("remove bridge %s: %w", name, err)
	}
	return nil
}

func controlSocket() (int, error) {
	return unix.Socket(unix.AF_INET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
}

func bridgeControl(socket int, request uint, name string) error {
	text, err := unix.BytePtrFromString(name)
	if err != nil {
		return err
	}
	if _, _, errno := unix.Syscall(unix.SYS_IOCTL, uintptr(socket), uintptr(request), uintptr(unsafe.Pointer(text))); errno != 0 {
		return errno
	}
	return nil
}

func setAddress(socket int, request uint, name string, address []byte) error {
	ifreq, err := unix.NewIfreq(name)
	if err != nil {
		return err
	}
	if err := ifreq.SetInet4Addr(address); err != nil {
		return err
	}
	return unix.IoctlIfreq(socket, request, ifreq)
}

func switchInterface(socket int, name string, on bool) error {
	ifreq, err := unix.NewIfreq(name)
	if err != nil {
		return err
	}
	if err := unix.IoctlIfreq(socket, unix.SIOCGIFFLAGS, ifreq); err != nil {
		return err
	}
	flags := ifreq.Uint16() &^ unix.IFF_UP
	if on {
		flags |= unix.IFF_UP
	}
	ifreq.SetUint16(flags)
	return unix.IoctlIfreq(socket, unix.SIOCSIFFLAGS, ifreq)
}
