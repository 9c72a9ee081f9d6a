package storetest

import "testing"

// Run runs the whole suite; open gives each test its own fresh database.
func Run(t *testing.T, open func(t *testing.T) Fixture) {
	for name, test := range map[string]func(*testing.T, Fixture){
		"smoke": testSmoke,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			test(t, open(t))
		})
	}
}

func testSmoke(t *testing.T, f Fixture) {
	ctx := t.Context()
	image := f.Image(t)
	in := f.Fleet(t, f.Project(0), image.ID, 5, 2)
	jobs := f.Reset(t, f.Project(0), ids(in.Phones)...)
	if err := f.Register(ctx, "r1", 1e9*60); err != nil {
		t.Fatal(err)
	}
	for _, id := range jobs {
		j, err := f.Job(ctx, f.Project(0), id)
		t.Logf("%+v %v", j, err)
	}
	n, err := f.Sweep(ctx, 0)
	t.Log(n, err)
	p, err := f.Progress(ctx, f.Project(0), "x")
	t.Log(p, err)
}
