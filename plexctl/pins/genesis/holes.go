package main

import (
	"bytes"
	"crypto/sha1"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"
)

// holes are what a run puts into the strings of values, and into the names of their fields:
//
//	${uid:KEY}  the UID of the object at KEY: a UUID of version 5 (RFC 4122), made from run and KEY
//	${now}      the time of creation: RFC 3339, UTC, whole seconds
//	${{         the two characters ${
//
// Python has the same UUID: uuid5(uuid5(NAMESPACE_URL, "plexctl:" + RUN), KEY).
type holes struct {
	run [16]byte // the name space of this run's UUIDs
	now string
}

// namespaceURL is that of RFC 4122, appendix C.
var namespaceURL = [16]byte{
	0x6b, 0xa7, 0xb8, 0x11, 0x9d, 0xad, 0x11, 0xd1, 0x80, 0xb4, 0x00, 0xc0, 0x4f, 0xd4, 0x30, 0xc8,
}

func newHoles(run string, at time.Time) (holes, error) {
	if run == "" {
		return holes{}, errors.New("the run has no identifier")
	}
	return holes{uuid5(namespaceURL, "plexctl:"+run), at.UTC().Format("2006-01-02T15:04:05Z")}, nil
}

// fill returns valid JSON with its holes filled. Everything else keeps its bytes: numbers, order of
// fields, escapes. An escaped dollar sign (\u0024) begins no hole.
func (known holes) fill(value []byte) ([]byte, error) {
	if !bytes.Contains(value, []byte("${")) {
		return value, nil
	}
	filled := make([]byte, 0, len(value)+len(value)/4)
	inside := false // a string
	for i := 0; i < len(value); i++ {
		switch char := value[i]; {
		case char == '"':
			inside = !inside
			filled = append(filled, char)
		case char == '\\': // only in strings; what follows is not the string's end
			filled = append(filled, char, value[i+1])
			i++
		case inside && char == '$' && value[i+1] == '{':
			if value[i+2] == '{' {
				filled = append(filled, "${"...)
				i += 2
				continue
			}
			length := bytes.IndexAny(value[i:], "}\"")
			if value[i+length] == '"' {
				return nil, fmt.Errorf("the hole %q has no end", value[i:i+length])
			}
			content, err := known.content(string(value[i+2 : i+length]))
			if err != nil {
				return nil, err
			}
			filled = append(filled, content...)
			i += length
		default:
			filled = append(filled, char)
		}
	}
	if !json.Valid(filled) { // a fault of this function
		return nil, errors.New("with its holes filled it is not JSON")
	}
	return filled, nil
}

// content is the text for a hole. It needs no escapes.
func (known holes) content(hole string) (string, error) {
	if hole == "now" {
		return known.now, nil
	}
	key, ok := strings.CutPrefix(hole, "uid:")
	if !ok || !strings.HasPrefix(key, "/") || strings.Contains(key, `\`) {
		return "", fmt.Errorf("unknown hole ${%s}; it is ${now}, ${uid:/KEY} or, for a plain ${, ${{", hole)
	}
	return text(uuid5(known.run, key)), nil
}

func uuid5(namespace [16]byte, name string) [16]byte {
	sum := sha1.Sum(append(namespace[:], name...))
	var made [16]byte
	copy(made[:], sum[:])
	made[6] = made[6]&0x0f | 0x50
	made[8] = made[8]&0x3f | 0x80
	return made
}

func text(uuid [16]byte) string {
	return fmt.Sprintf("%x-%x-%x-%x-%x", uuid[:4], uuid[4:6], uuid[6:8], uuid[8:10], uuid[10:])
}
