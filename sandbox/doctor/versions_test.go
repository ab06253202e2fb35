package doctor

import "testing"

func TestFloorsKnowTheBranches(t *testing.T) {
	late := RuncFloors[len(RuncFloors)-1]
	for text, want := range map[string]bool{
		"1.1.15": false, "1.2.7": false, "1.2.8": true, "1.2.9": true, "1.3.0": false, "1.3.3": true, "1.3.10": true,
		"1.4.0-rc.2": false, "1.4.0-rc.3": true, "1.4.0~rc3+ds1": true, "1.4.0": true, "1.5.0-rc.1": true, "2.0": true,
	} {
		v, ok := parseVersion(Part{Version: text})
		if !ok || late.fixes(v) != want {
			t.Errorf("%s: %+v, %t, fixed %t; want %t", text, v, ok, late.fixes(v), want)
		}
	}
	early, _ := parseVersion(Part{Version: "1.0.0-rc6"})
	for _, fl := range RuncFloors {
		if fl.fixes(early) {
			t.Errorf("%s counts as fixed in 1.0.0-rc6", fl.CVEs)
		}
	}
}
