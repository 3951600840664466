// Builds a Kustomization of Flux as kustomize-controller does, with the controller's own packages, and
// prints the objects that it would apply. It talks to no cluster.
//
// Standard input is a request (JSON), standard output an answer. The program has no keys: an answer
// lists the encrypted texts that it needs decrypted, and the caller asks again with their plain texts.
//
// https://github.com/fluxcd/kustomize-controller, internal/controller/kustomization_controller.go
package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"sort"
	"strings"

	securejoin "github.com/cyphar/filepath-securejoin"
	"github.com/fluxcd/cli-utils/pkg/object"
	kustomizev1 "github.com/fluxcd/kustomize-controller/api/v1"
	generator "github.com/fluxcd/pkg/kustomize"
	securefs "github.com/fluxcd/pkg/kustomize/filesys"
	"github.com/fluxcd/pkg/ssa"
	"github.com/fluxcd/pkg/ssa/jsondiff"
	"github.com/fluxcd/pkg/ssa/normalize"
	ssautil "github.com/fluxcd/pkg/ssa/utils"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"sigs.k8s.io/kustomize/api/resource"
	"sigs.k8s.io/kustomize/kyaml/filesys"
)

// request is what the caller knows.
type request struct {
	Root          string            `json:"root"` // folder with the files of the source
	Kustomization map[string]any    `json:"kustomization"`
	Variables     map[string]string `json:"variables"` // of postBuild.substituteFrom
	Decrypted     []decrypted       `json:"decrypted"` // the texts that earlier answers listed
}

// answer has either objects, or texts to decrypt, or an error.
type answer struct {
	Objects []built     `json:"objects"`
	Decrypt []encrypted `json:"decrypt"`
	Error   string      `json:"error"`
}

// built is an object as it is applied, with its identifier in the inventory, and the JSON pointers of
// fields that spec.ignore leaves as they are in the cluster.
type built struct {
	ID      string         `json:"id"`
	Object  map[string]any `json:"object"`
	Ignored []string       `json:"ignored"`
}

func main() {
	var asked request
	decoder := json.NewDecoder(os.Stdin)
	decoder.DisallowUnknownFields()
	if err := decoder.Decode(&asked); err != nil {
		fmt.Fprintln(os.Stderr, "flux-build:", err)
		os.Exit(2)
	}
	var found answer
	objects, wanted, err := build(asked)
	switch {
	case err != nil:
		found.Error = strings.ReplaceAll(err.Error(), strings.TrimSuffix(asked.Root, "/")+"/", "")
	case len(wanted) > 0:
		found.Decrypt = wanted
	default:
		found.Objects = objects
	}
	if err := json.NewEncoder(os.Stdout).Encode(found); err != nil {
		fmt.Fprintln(os.Stderr, "flux-build:", err)
		os.Exit(2)
	}
}

// build follows reconcile and build of the controller.
func build(asked request) ([]built, []encrypted, error) {
	var flux kustomizev1.Kustomization
	if err := runtime.DefaultUnstructuredConverter.FromUnstructured(asked.Kustomization, &flux); err != nil {
		return nil, nil, err
	}
	folder, err := securejoin.SecureJoin(asked.Root, flux.Spec.Path)
	if err != nil {
		return nil, nil, err
	}
	if info, err := os.Stat(folder); err != nil || !info.IsDir() {
		return nil, nil, fmt.Errorf("spec.path: the source has no folder %q", flux.Spec.Path)
	}
	// The controller writes into its copy of the source; here that is memory. No base is cloned: git
	// would run with options from a file.
	disk, err := securefs.MakeFsOnDiskSecure(asked.Root)
	if err != nil {
		return nil, nil, err
	}
	files := securefs.MakeFsInMemory(disk)
	spec := unstructured.Unstructured{Object: withVariables(asked.Kustomization, asked.Variables)}
	if err := generate(files, spec, asked.Root, folder); err != nil {
		return nil, nil, err
	}
	keys := newDecryptor(asked.Root, files, asked.Decrypted)
	sealed := flux.Spec.Decryption != nil && flux.Spec.Decryption.Provider == "sops"
	if sealed {
		if err := keys.decryptSources(folder); err != nil {
			return nil, nil, fmt.Errorf("error decrypting sources: %w", err)
		}
		if len(keys.wanted) > 0 {
			return nil, keys.wanted, nil
		}
	}
	made, err := generator.Build(files, folder)
	if err != nil {
		if keys.opened {
			err = errHidden
		} else if strings.Contains(err.Error(), "no 'git' program on path") {
			err = fmt.Errorf("%w (git repositories are not cloned here)", err)
		}
		return nil, nil, fmt.Errorf("kustomize build failed: %w", err)
	}
	if sealed {
		for _, one := range made.Resources() {
			if err := keys.decryptResource(one); err != nil {
				return nil, nil, fmt.Errorf("%s: %w", shown(one), err)
			}
		}
		if len(keys.wanted) > 0 {
			return nil, keys.wanted, nil
		}
	}
	for _, one := range made.Resources() {
		if one.GetName() == "" || one.GetKind() == "" || one.GetApiVersion() == "" {
			return nil, nil, fmt.Errorf("%s: an object needs apiVersion, kind and a name", shown(one))
		}
		if flux.Spec.PostBuild != nil {
			if err := substitute(&flux, spec, one); err != nil {
				return nil, nil, fmt.Errorf("%s: %w", shown(one), err)
			}
		}
	}
	text, err := made.AsYaml()
	if err != nil {
		return nil, nil, fmt.Errorf("kustomize build failed: %w", errHidden)
	}
	objects, err := ssautil.ReadObjects(bytes.NewReader(text))
	if err != nil {
		return nil, nil, fmt.Errorf("the objects cannot be read: %w", errHidden)
	}
	found, err := finish(&flux, objects)
	return found, nil, err
}

var errHidden = errors.New("the reason is hidden, as it may quote a secret")

// generate writes the kustomization of a folder, with the fields of `spec`, as the controller does.
func generate(files filesys.FileSystem, spec unstructured.Unstructured, root, folder string) error {
	text, file, _, err := generator.NewGenerator(root, spec).GenerateManifest(folder)
	if err != nil {
		return err
	}
	return files.WriteFile(file, text)
}

// withVariables is a Kustomization whose variables are all in postBuild.substitute. Those that are
// there already go before those of ConfigMaps and Secrets.
func withVariables(kustomization map[string]any, variables map[string]string) map[string]any {
	changed := runtime.DeepCopyJSON(kustomization)
	given, found, _ := unstructured.NestedStringMap(changed, "spec", "postBuild", "substitute")
	if _, wants, _ := unstructured.NestedMap(changed, "spec", "postBuild"); !wants {
		return changed
	}
	all := map[string]string{}
	for name, value := range variables {
		all[name] = value
	}
	if found {
		for name, value := range given {
			all[name] = value
		}
	}
	_ = unstructured.SetNestedStringMap(changed, all, "spec", "postBuild", "substitute")
	return changed
}

func substitute(
	flux *kustomizev1.Kustomization, spec unstructured.Unstructured, one *resource.Resource,
) error {
	always := flux.GetSubstituteStrategy() == kustomizev1.SubstituteStrategyAlways
	_, err := generator.SubstituteVariables(context.Background(), nil, spec, one,
		generator.SubstituteWithDryRun(true), // the variables are there
		generator.SubstituteWithAlways(always))
	if err == nil {
		return nil
	}
	text := err.Error()
	if strings.Contains(text, "YAMLToJSON") || strings.Contains(text, "UnmarshalJSON") {
		return errors.New("not valid YAML after its variables are substituted") // it may quote a value
	}
	if one.GetKind() == "Secret" {
		return fmt.Errorf("its variables cannot be substituted: %w", errHidden)
	}
	return err
}

// finish makes of built objects what the controller applies.
func finish(flux *kustomizev1.Kustomization, objects []*unstructured.Unstructured) ([]built, error) {
	owner := ssa.Owner{Field: "kustomize-controller", Group: kustomizev1.GroupVersion.Group}
	ssa.NewResourceManager(nil, nil, owner).SetOwnerLabels(objects, flux.Name, flux.Namespace)
	for _, one := range objects {
		if err := normalize.UnstructuredList([]*unstructured.Unstructured{one}); err != nil {
			if ssautil.IsSecret(one) {
				err = errHidden
			}
			return nil, fmt.Errorf("%s: %w", ssautil.FmtUnstructured(one), err)
		}
	}
	if common := flux.Spec.CommonMetadata; common != nil {
		ssautil.SetCommonMetadata(objects, common.Labels, common.Annotations)
	}
	rules, err := ignoreRules(flux)
	if err != nil {
		return nil, err
	}
	found := make([]built, 0, len(objects))
	for _, one := range objects {
		if ssautil.IsSecret(one) && one.Object["sops"] != nil && !isDisabled(one.GetAnnotations()) {
			return nil, fmt.Errorf("%s is encrypted, and the Kustomization has no spec.decryption",
				ssautil.FmtUnstructured(one))
		}
		ssautil.RemoveCABundleFromCRD(one)
		ignored := []string{}
		for selector, paths := range rules {
			if selector.MatchUnstructured(one) {
				ignored = append(ignored, paths...)
			}
		}
		sort.Strings(ignored)
		id := object.UnstructuredToObjMetadata(one).String()
		found = append(found, built{id, one.Object, ignored})
	}
	return found, nil
}

func ignoreRules(flux *kustomizev1.Kustomization) (jsondiff.CompiledIgnoreRules, error) {
	rules := make([]jsondiff.IgnoreRule, 0, len(flux.Spec.Ignore))
	for _, one := range flux.Spec.Ignore {
		rule := jsondiff.IgnoreRule{Paths: one.Paths}
		if target := one.Target; target != nil {
			rule.Selector = &jsondiff.Selector{
				Group: target.Group, Version: target.Version, Kind: target.Kind,
				Name: target.Name, Namespace: target.Namespace,
				AnnotationSelector: target.AnnotationSelector, LabelSelector: target.LabelSelector,
			}
		}
		rules = append(rules, rule)
	}
	return jsondiff.CompileIgnoreRules(rules)
}

// shown names an object: "ConfigMap shop/web".
func shown(one *resource.Resource) string {
	name := one.GetName()
	if namespace := one.GetNamespace(); namespace != "" {
		name = namespace + "/" + name
	}
	return strings.TrimSpace(one.GetKind() + " " + name)
}
