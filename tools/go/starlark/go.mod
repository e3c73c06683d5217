// The interpreter of Starlark that Tilt has in it: the Tiltfile is evaluated with it in a test.
// Nothing here is compiled into the product.
module flashsale.dev/tools/starlark

go 1.25.0

tool go.starlark.net/cmd/starlark

require (
	github.com/chzyer/readline v1.5.1 // indirect
	go.starlark.net v0.0.0-20260908191801-89a6a09411d5 // indirect
	golang.org/x/sys v0.42.0 // indirect
	golang.org/x/term v0.41.0 // indirect
)
