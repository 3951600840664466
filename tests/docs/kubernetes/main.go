// Prints the fields of KubeletConfiguration and KubeProxyConfiguration and their types as JSON, and
// the feature gates of the programs and of kubeadm: the value of each that is locked, or null.
//
// A type is "bool", "int32", "string", "duration", "quantity", "any" or the like; a list is
// [type], a mapping with names of the user's choice is {"*": type}, and an object is
// {"field": type, …}. tests/docs/kubernetes_table.py runs this.
package main

import (
	"encoding/json"
	"os"
	"reflect"
	"strings"

	utilfeature "k8s.io/apiserver/pkg/util/feature"
	"k8s.io/component-base/featuregate"
	logsapi "k8s.io/component-base/logs/api/v1"
	kubeproxy "k8s.io/kube-proxy/config/v1alpha1"
	kubelet "k8s.io/kubelet/config/v1beta1"
	kubeadm "k8s.io/kubernetes/cmd/kubeadm/app/features"
	_ "k8s.io/kubernetes/pkg/features" // adds its own to the gates of every program
)

var known = map[string]string{
	"k8s.io/apimachinery/pkg/apis/meta/v1.Duration": "duration",
	"k8s.io/apimachinery/pkg/apis/meta/v1.Time":     "time",
	"k8s.io/apimachinery/pkg/api/resource.Quantity": "quantity",
}

var unmarshaler = reflect.TypeOf((*json.Unmarshaler)(nil)).Elem()

func describe(t reflect.Type) any {
	for t.Kind() == reflect.Pointer {
		t = t.Elem()
	}
	if name, ok := known[t.PkgPath()+"."+t.Name()]; ok {
		return name
	}
	if reflect.PointerTo(t).Implements(unmarshaler) {
		return "any" // it reads its value in its own way
	}
	switch t.Kind() {
	case reflect.Slice:
		if t.Elem().Kind() == reflect.Uint8 {
			return "string" // base64
		}
		return []any{describe(t.Elem())}
	case reflect.Map:
		return map[string]any{"*": describe(t.Elem())}
	case reflect.Struct:
		fields := map[string]any{}
		add(t, fields)
		return fields
	case reflect.Interface:
		return "any"
	default:
		return t.Kind().String()
	}
}

func add(t reflect.Type, fields map[string]any) {
	for i := 0; i < t.NumField(); i++ {
		field := t.Field(i)
		name, options, _ := strings.Cut(field.Tag.Get("json"), ",")
		if name == "" && (field.Anonymous || strings.Contains(options, "inline")) {
			add(field.Type, fields)
		} else if name != "-" && name != "" {
			fields[name] = describe(field.Type)
		}
	}
}

func locked(spec featuregate.FeatureSpec) any {
	if spec.LockToDefault {
		return spec.Default
	}
	return nil
}

// All programs link the same packages, so they have the same gates.
func gates() map[string]any {
	gate := utilfeature.DefaultMutableFeatureGate
	if err := logsapi.AddFeatureGates(gate); err != nil {
		panic(err)
	}
	found := map[string]any{}
	for name, spec := range gate.GetAll() {
		found[string(name)] = locked(spec)
	}
	return found
}

func kubeadmGates() map[string]any {
	found := map[string]any{}
	for name, feature := range kubeadm.InitFeatureGates {
		found[name] = locked(feature.FeatureSpec)
	}
	return found
}

func main() {
	out := json.NewEncoder(os.Stdout)
	err := out.Encode(map[string]any{
		"gates":   map[string]any{"kubeadm": kubeadmGates(), "common": gates()},
		"kubelet": describe(reflect.TypeOf(kubelet.KubeletConfiguration{})),
		"proxy":   describe(reflect.TypeOf(kubeproxy.KubeProxyConfiguration{})),
	})
	if err != nil {
		panic(err)
	}
}
