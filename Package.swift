// swift-tools-version: 6.2
import PackageDescription

/// A build for the thread sanitizer, of what its tests need and no more: mount-scripts/test.sh makes it.
let isForThreadSanitizer = Context.environment["ARTIFACTFS_TSAN"] != nil

/// Every target of ours is built with these: Swift 6 mode, warnings are errors, and imports say what they show.
let strict: [SwiftSetting] =
    [
        .swiftLanguageMode(.v6),
        .enableUpcomingFeature("ExistentialAny"),
        .enableUpcomingFeature("MemberImportVisibility"),
        .enableUpcomingFeature("InternalImportsByDefault"),
        .treatAllWarnings(as: .error),
    ] + (isForThreadSanitizer ? [.define("ARTIFACTFS_TSAN")] : [])

let system: Target.Dependency = .product(name: "SystemPackage", package: "swift-system")
let logging: Target.Dependency = .product(name: "Logging", package: "swift-log")

let package = Package(
    name: "artifactfs",
    products: [
        .executable(name: "artifactfs", targets: ["artifactfs"]),
        .library(name: "ArtifactKit", targets: ["ArtifactKit"]),
    ],
    dependencies: [
        .package(url: "https://github.com/apple/swift-argument-parser", from: "1.8.0"),
        .package(url: "https://github.com/apple/swift-log", from: "1.16.0"),
        .package(url: "https://github.com/apple/swift-system", from: "1.8.0"),
        .package(url: "https://github.com/groue/GRDB.swift", from: "7.10.0"),
        .package(url: "https://github.com/jpsim/Yams", from: "6.2.0"),
        .package(url: "https://github.com/swhitty/FlyingFox", from: "0.27.1"),
    ],
    targets: [
        // System libraries and the C that Swift cannot reach by itself.
        .systemLibrary(name: "CFuse", pkgConfig: "fuse3", providers: [.apt(["libfuse3-dev"])]),
        .systemLibrary(name: "CCrypto", pkgConfig: "libcrypto", providers: [.apt(["libssl-dev"])]),
        .systemLibrary(name: "CCurl", pkgConfig: "libcurl", providers: [.apt(["libcurl4-openssl-dev"])]),
        .target(name: "CLinux"),

        // The system calls, in one place.
        .target(name: "SystemCalls", dependencies: ["CLinux", system], swiftSettings: strict),

        // The pure core decides.
        .target(name: "Artifacts", dependencies: [system], swiftSettings: strict),
        .target(name: "ArtifactFormats", dependencies: [system], swiftSettings: strict),
        .target(name: "Queries", swiftSettings: strict),

        // What is remembered: records, and the ledger that has them.
        .target(
            name: "ArtifactRecords",
            dependencies: ["Artifacts", "ArtifactFormats", "SystemCalls", "CCrypto", system], swiftSettings: strict),

        // What is said of artifacts with a signature.
        .target(name: "Attestations", dependencies: ["ArtifactRecords", "CCrypto"], swiftSettings: strict),

        // Objects in buckets: requests and their signatures. It knows no store.
        .target(
            name: "ObjectStorage", dependencies: ["ArtifactRecords", "CCrypto", "CCurl", "SystemCalls", system],
            swiftSettings: strict),

        // What a mirror of a store has, as text. It asks no server and touches no file.
        .target(
            name: "Mirrors", dependencies: ["ArtifactRecords", "Artifacts", "ObjectStorage"], swiftSettings: strict),

        // The store acts and remembers.
        .target(
            name: "ArtifactStore",
            dependencies: ["Artifacts", "ArtifactFormats", "ArtifactRecords", "SystemCalls", system, logging, "Yams"],
            swiftSettings: strict),

        // From what artifacts were made, as their records tell, and how that is shown.
        .target(
            name: "Lineage", dependencies: ["ArtifactRecords", "Artifacts", system], swiftSettings: strict),

        // An index over what is remembered: never the truth, never on the way of a request.
        .target(
            name: "Catalog",
            dependencies: [
                "ArtifactFormats", "ArtifactRecords", "Artifacts", "Queries", "SystemCalls", system,
                .product(name: "GRDB", package: "GRDB.swift"), .product(name: "GRDBSQLite", package: "GRDB.swift"),
            ],
            swiftSettings: strict),

        // What a catalog tells, as pages for a browser.
        .target(
            name: "ArtifactWeb",
            dependencies: [
                "ArtifactRecords", "Artifacts", "Catalog", "Queries",
                .product(name: "FlyingFox", package: "FlyingFox"),
                .product(name: "FlyingSocks", package: "FlyingFox"),
            ],
            swiftSettings: strict),

        // Who a process is, with which code it works, how it ended.
        .target(
            name: "Provenance",
            dependencies: ["ArtifactFormats", "ArtifactRecords", "Artifacts", "SystemCalls", system],
            swiftSettings: strict),

        // The driver joins them to the kernel.
        .target(name: "FuseKernel", dependencies: ["CFuse", "SystemCalls", system, logging], swiftSettings: strict),
        .target(
            name: "ArtifactDriver",
            dependencies: [
                "ArtifactFormats", "ArtifactRecords", "Artifacts", "ArtifactStore", "FuseKernel", "Provenance",
                "SystemCalls", system, logging,
            ],
            swiftSettings: strict),

        // What people and programs call.
        .target(
            name: "ArtifactKit",
            dependencies: ["Artifacts", "ArtifactFormats", "ArtifactRecords", "ArtifactStore", "SystemCalls", system],
            swiftSettings: strict),
        .executableTarget(
            name: "artifactfs",
            dependencies: [
                "Artifacts", "ArtifactFormats", "ArtifactRecords", "ArtifactStore", "ArtifactDriver", "ArtifactKit",
                "ArtifactWeb", "Attestations",
                "Catalog",
                "FuseKernel", "Lineage", "Mirrors", "ObjectStorage", "Queries", "SystemCalls", system, logging,
                .product(name: "ArgumentParser", package: "swift-argument-parser"),
            ],
            swiftSettings: strict),

        // What measures the mount; mount-scripts/bench.sh runs it.
        .executableTarget(
            name: "artifactfs-bench",
            dependencies: [
                "ArtifactRecords", .product(name: "ArgumentParser", package: "swift-argument-parser"),
            ],
            path: "Sources/Benchmarks", swiftSettings: strict),

        // Tests: a target a module, then the mounted binary.
        .target(name: "TestSupport", dependencies: [system], path: "Tests/TestSupport", swiftSettings: strict),
        .testTarget(name: "LayeringTests", dependencies: ["TestSupport"], swiftSettings: strict),
        .testTarget(
            name: "SystemCallsTests", dependencies: ["SystemCalls", "TestSupport", system], swiftSettings: strict),
        .testTarget(name: "ArtifactsTests", dependencies: ["Artifacts", "TestSupport", system], swiftSettings: strict),
        .testTarget(
            name: "ArtifactFormatsTests", dependencies: ["ArtifactFormats", "TestSupport", system],
            swiftSettings: strict),
        .testTarget(name: "QueriesTests", dependencies: ["Queries", "TestSupport"], swiftSettings: strict),
        .testTarget(
            name: "ArtifactRecordsTests",
            dependencies: ["ArtifactFormats", "ArtifactRecords", "Artifacts", "SystemCalls", "TestSupport", system],
            swiftSettings: strict),
        .testTarget(
            name: "AttestationsTests", dependencies: ["ArtifactRecords", "Attestations", "TestSupport"],
            swiftSettings: strict),
        .testTarget(
            name: "ObjectStorageTests", dependencies: ["ObjectStorage", "TestSupport", system], swiftSettings: strict),
        .testTarget(
            name: "MirrorsTests", dependencies: ["ArtifactRecords", "Mirrors", "TestSupport"], swiftSettings: strict),
        .testTarget(
            name: "ArtifactStoreTests",
            dependencies: [
                "ArtifactRecords", "Artifacts", "ArtifactStore", "SystemCalls", "TestSupport", system,
            ],
            swiftSettings: strict),
        .testTarget(
            name: "LineageTests",
            dependencies: ["ArtifactRecords", "Lineage", "SystemCalls", "TestSupport", system],
            swiftSettings: strict),
        .testTarget(
            name: "CatalogTests",
            dependencies: [
                "ArtifactFormats", "ArtifactRecords", "Artifacts", "Catalog", "Queries", "SystemCalls", "TestSupport",
                system,
                .product(name: "GRDB", package: "GRDB.swift"),
            ],
            swiftSettings: strict),
        .testTarget(
            name: "ArtifactWebTests",
            dependencies: ["ArtifactRecords", "ArtifactWeb", "Catalog", "Queries", "TestSupport"],
            swiftSettings: strict),
        .testTarget(
            name: "FuseKernelTests", dependencies: ["CLinux", "FuseKernel", "TestSupport", system],
            swiftSettings: strict),
        .testTarget(
            name: "ProvenanceTests",
            dependencies: ["ArtifactRecords", "Artifacts", "Provenance", "SystemCalls", "TestSupport", system],
            swiftSettings: strict),
        .testTarget(
            name: "ArtifactDriverTests",
            dependencies: [
                "ArtifactRecords", "Artifacts", "ArtifactStore", "ArtifactDriver", "FuseKernel", "Provenance",
                "SystemCalls", "TestSupport", system,
            ],
            swiftSettings: strict),
        .testTarget(
            name: "ArtifactKitTests", dependencies: ["ArtifactKit", "Artifacts", "TestSupport", system],
            swiftSettings: strict),
        .testTarget(
            name: "MountedTests", dependencies: ["CLinux", "TestSupport", "artifactfs", system],
            exclude: ["Lineage", "Mirror", "Pages", "Posix"],
            swiftSettings: strict),
    ]
)

if isForThreadSanitizer {
    let sanitized: Set<String> = [
        "CFuse", "CCrypto", "CLinux", "SystemCalls", "Artifacts", "ArtifactFormats", "ArtifactRecords", "ArtifactStore",
        "FuseKernel", "Provenance", "ArtifactDriver", "TestSupport", "ArtifactDriverTests",
    ]
    package.targets.removeAll { !sanitized.contains($0.name) }
    package.products.removeAll()
    // Nobody but the command line uses it, and what is not used is a warning.
    package.dependencies.removeAll { dependency in
        ["swift-argument-parser", "GRDB", "FlyingFox"].contains { "\(dependency.kind)".contains($0) }
    }
}
