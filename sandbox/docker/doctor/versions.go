package doctor

import "github.com/preheat/preheat/sandbox/doctor"

// engineFloors are those of the Engine that touch what preheat does: who may
// enter its data folder, inheritable capabilities, supplementary groups. Not
// here: holes of copying, plugins, Swarm and authorization, which preheat does
// not use. https://github.com/moby/moby/security/advisories
var engineFloors = []doctor.Floor{
	{CVEs: "CVE-2021-41091", Fixed: []string{"20.10.9"}},
	{CVEs: "CVE-2022-24769", Fixed: []string{"20.10.14"}},
	{CVEs: "CVE-2022-36109", Fixed: []string{"20.10.18"}},
}
