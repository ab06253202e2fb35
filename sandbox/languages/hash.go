package languages

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"strconv"
)

// layoutVersion is raised with every change of how the builder lays an image
// out, so that the images made before it are stale.
const layoutVersion = 3

// baseVersion is the same for Debian bases.
const baseVersion = 2

// Hash is what an image of the folder with this agent in it is made from, in
// hex. It changes with the manifest, the recipe, the app files, the agent and
// the layout, and with nothing else.
func (f Folder) Hash(agent []byte) string {
	return f.hash(agent, layoutVersion)
}

func (f Folder) hash(agent []byte, layout int) string {
	parts := [][]byte{[]byte(strconv.Itoa(layout)), mustJSON(f.Manifest), mustJSON(f.Recipe), agent}
	for _, file := range f.App {
		parts = append(parts, []byte(file.Name), file.Content)
	}
	return sum(parts)
}

// Hash is what a Debian base for the architecture arch is made from, in hex.
func (b Base) Hash(arch string) string {
	return sum([][]byte{[]byte(strconv.Itoa(baseVersion)), mustJSON(b.Debian), mustJSON(b.NPM[arch])})
}

// Hash is what a base with these packages is made from, in hex; with names all
// else that goes into it.
func (p Packages) Hash(with ...string) string {
	parts := [][]byte{mustJSON(p)}
	for _, w := range with {
		parts = append(parts, []byte(w))
	}
	return sum(parts)
}

// sum hashes the parts with their lengths, so that bytes cannot move from one
// to its neighbour unseen.
func sum(parts [][]byte) string {
	h := sha256.New()
	for _, p := range parts {
		h.Write(binary.BigEndian.AppendUint64(nil, uint64(len(p))))
		h.Write(p)
	}
	return hex.EncodeToString(h.Sum(nil))
}

func mustJSON(v any) []byte {
	data, err := json.Marshal(v)
	if err != nil {
		panic(fmt.Sprintf("languages: %v", err)) // the types are ours: strings, slices and maps of them
	}
	return data
}
