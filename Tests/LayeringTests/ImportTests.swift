import TestSupport
import Testing

/// Who may know whom. SwiftPM does not stop a target from importing what it gets only through another one; this does.
@Suite struct ImportTests {
    /// The rules: for every target the modules that its files may import. A pure core decides, a store acts, a driver joins
    /// them to the kernel.
    static let allowed: [String: Set<String>] = [
        // Pure: value types only, no I/O and no clock.
        "Artifacts": ["SystemPackage"],
        "ArtifactFormats": ["SystemPackage"],
        // What people ask: no more than the language.
        "Queries": [],
        // The only one that knows the C of Linux; it knows nothing else of ours.
        "SystemCalls": ["CLinux", "Glibc", "Synchronization", "SystemPackage"],
        // What is remembered, and its files; it knows no store.
        "ArtifactRecords": [
            "ArtifactFormats", "Artifacts", "CCrypto", "Glibc", "Synchronization", "SystemCalls", "SystemPackage",
        ],
        // What is said of artifacts with a signature; it knows no file.
        "Attestations": ["ArtifactRecords", "CCrypto"],
        // Objects in buckets, the only one that asks servers: it knows no store.
        "ObjectStorage": [
            "ArtifactRecords", "CCrypto", "CCurl", "Glibc", "Synchronization", "SystemCalls", "SystemPackage",
        ],
        // What a mirror of a store has, as text: it asks no server and touches no file.
        "Mirrors": ["ArtifactRecords", "Artifacts", "ObjectStorage"],
        // What the records tell together; it knows no store.
        "Lineage": ["ArtifactRecords", "Artifacts", "Glibc", "SystemPackage"],
        // An index over the ledgers, by what they and the store's files say; it knows no store, and no driver knows it.
        "Catalog": [
            "ArtifactFormats", "ArtifactRecords", "Artifacts", "FoundationEssentials", "GRDB", "GRDBSQLite", "Glibc",
            "Queries",
            "Synchronization", "SystemCalls", "SystemPackage",
        ],
        // Pages over the catalog: it reads no file, and the only one that knows HTTP.
        "ArtifactWeb": [
            "ArtifactRecords", "Artifacts", "Catalog", "FlyingFox", "FlyingSocks", "Foundation", "Glibc", "Queries",
        ],
        // Processes and their code, as the machine shows them; it knows neither store nor mount.
        "Provenance": [
            "ArtifactFormats", "ArtifactRecords", "Artifacts", "Glibc", "Synchronization", "SystemCalls",
            "SystemPackage",
        ],
        // The real directories. It knows no kernel interface of FUSE.
        "ArtifactStore": [
            "ArtifactFormats", "ArtifactRecords", "Artifacts", "Glibc", "Synchronization", "SystemCalls",
            "SystemPackage", "Yams",
        ],
        // The only one that knows libfuse; it knows no artifacts.
        "FuseKernel": ["CFuse", "Glibc", "Logging", "Synchronization", "SystemCalls", "SystemPackage"],
        "ArtifactDriver": [
            "ArtifactFormats", "ArtifactRecords", "ArtifactStore", "Artifacts", "FuseKernel", "Glibc", "Logging",
            "Provenance", "Synchronization", "SystemCalls", "SystemPackage",
        ],
        // The same policy without a mount: neither driver nor kernel.
        "ArtifactKit": [
            "ArtifactFormats", "ArtifactRecords", "ArtifactStore", "Artifacts", "FoundationEssentials", "Glibc",
            "SystemCalls", "SystemPackage",
        ],
        // It measures from outside, as any program would, and shares JSON only.
        "Benchmarks": ["ArgumentParser", "ArtifactRecords", "Glibc"],
        "artifactfs": [
            "ArgumentParser", "ArtifactDriver", "ArtifactFormats", "ArtifactRecords", "ArtifactStore", "ArtifactWeb",
            "Artifacts", "Attestations", "Catalog", "FuseKernel", "Glibc", "Lineage", "Logging", "Mirrors",
            "ObjectStorage", "Queries", "Synchronization", "SystemCalls", "SystemPackage",
        ],
        // C and module maps.
        "CCrypto": [], "CCurl": [], "CFuse": [], "CLinux": [],
    ]

    @Test func everyTargetImportsOnlyWhatItMay() throws {
        let targets = try names(in: SourceTree.top + "/Sources")
        #expect(Set(targets) == Set(Self.allowed.keys), "every target of Sources stands in the table, and no other")
        var seen = 0
        for target in targets {
            var used: Set<String> = []
            for file in try SourceTree.swiftFiles(below: "Sources/" + target) {
                for (number, line) in file.lines.enumerated() {
                    guard let module = SourceTree.importedModule(line) else { continue }
                    seen += 1
                    used.insert(module)
                    let may = Self.allowed[target]?.contains(module) ?? false
                    #expect(may, "\(file.path):\(number + 1): \(target) may not import \(module)")
                }
            }
            let idle = Self.allowed[target, default: []].subtracting(used)
            #expect(idle.isEmpty, "\(target) may import \(idle.sorted()) and does not: the table holds what is used")
        }
        #expect(seen > 50, "the test reads the imports")
    }

    /// The table itself: a later edit of it does not undo the structure.
    @Test func theTableKeepsTheStructure() {
        func importers(of module: String) -> Set<String> {
            Set(Self.allowed.filter { $0.value.contains(module) }.keys)
        }
        #expect(importers(of: "CFuse") == ["FuseKernel"])
        #expect(importers(of: "CLinux") == ["SystemCalls"])
        #expect(
            Self.allowed["SystemCalls"]?.isSubset(of: ["CLinux", "Glibc", "Synchronization", "SystemPackage"]) == true)
        #expect(importers(of: "GRDB") == ["Catalog"])
        #expect(importers(of: "Catalog").isDisjoint(with: ["ArtifactDriver", "ArtifactStore", "FuseKernel"]))
        #expect(importers(of: "FlyingFox") == ["ArtifactWeb"])
        #expect(
            Self.allowed["ArtifactWeb"]?.isDisjoint(with: ["SystemCalls", "ArtifactStore", "SystemPackage"]) == true)
        #expect(importers(of: "Yams") == ["ArtifactStore"])
        #expect(importers(of: "CCrypto") == ["ArtifactRecords", "Attestations", "ObjectStorage"])
        #expect(importers(of: "CCurl") == ["ObjectStorage"])
        #expect(importers(of: "ObjectStorage") == ["Mirrors", "artifactfs"])
        #expect(importers(of: "ArtifactDriver") == ["artifactfs"])
        #expect(Self.allowed["FuseKernel"]?.contains { $0.hasPrefix("Artifact") } == false)
        #expect(Self.allowed["Artifacts"]?.isSubset(of: ["SystemPackage"]) == true)
        #expect(Self.allowed["ArtifactFormats"]?.isSubset(of: ["SystemPackage"]) == true)
        #expect(Self.allowed["ArtifactStore"]?.contains("Catalog") == false)
        #expect(Self.allowed["ArtifactRecords"]?.contains("ArtifactStore") == false)
        #expect(Self.allowed["Catalog"]?.contains("ArtifactStore") != true)
    }

    @Test(
        arguments: [
            ("import Glibc", "Glibc"), ("public import SystemPackage", "SystemPackage"),
            ("@testable import ArtifactDriver", "ArtifactDriver"), ("internal import struct CFuse.fuse_args", "CFuse"),
            ("    import Yams", "Yams"), ("let important = 1", nil), ("// import CFuse", nil), ("", nil),
        ] as [(String, String?)])
    func importsAreRead(line: String, module: String?) {
        #expect(SourceTree.importedModule(line[...]) == module)
    }
}
