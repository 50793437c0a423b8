import Glibc
import SystemPackage
import TestSupport
import Testing

/// A mount with a frozen session, on which tests make files in every state of SEMANTICS 2.
final class Stage {
    typealias State = MountedTests.PolicyTableTests.State
    typealias Subject = MountedTests.PolicyTableTests.Subject

    let mount: Mount
    private let directory: TemporaryDirectory
    private let frozen = "20200101_000000"
    private var made = 0

    init(_ variant: MountVariant) throws {
        directory = try TemporaryDirectory()
        let store = directory.path + "/model_eval"
        try Mount.initialize(store: store)
        _ = mkdir(store + "/base_layer/dev", 0o755)
        try check(mkdir(store + "/base_layer/dev/" + frozen, 0o755))
        mount = try Mount(store: store, variant)
        _ = mkdir(mount.session("scratch"), 0o755)
    }

    /// A new file in a state. Sealed files are written by another process: the test's own would be in its settling window.
    func make(_ state: State) throws -> Subject {
        made += 1
        let (name, fresh) = ("chr\(made).tsv", "chrUn_\(made)f.tsv")
        let production = mount.production("base/analysis_sequences/")
        switch state {
        case .transient:
            try write(table, to: production + "tmp\(made)")
            return Subject(path: production + "tmp\(made)", bytes: table, fresh: production + "tmp\(made)f")
        case .writing:
            let handle = try openFile(production + name, O_RDWR | O_CREAT | O_EXCL)
            try writeAll(handle, table)
            return Subject(path: production + name, bytes: table, handle: handle, fresh: production + fresh)
        case .empty:
            try openAndClose(production + name, O_WRONLY | O_CREAT | O_EXCL)
            #expect(eventually { mount.state(of: production + name) == "empty" }, "the state of what touch leaves")
            return Subject(path: production + name, bytes: "", fresh: production + fresh)
        case .sealing:
            // Enough that checking and hashing it takes a while; the answers are the same when it is done already.
            let outcome = try shell("(printf 'a\\tb\\n'; yes $'1\\t2' | head -n 200000) > \(production + name)")
            #expect(outcome.succeeded, "\(outcome)")
            let bytes = "a\tb\n" + String(repeating: "1\t2\n", count: 200_000)
            return Subject(path: production + name, bytes: bytes, fresh: production + fresh)
        case .sealed:
            let outcome = try shell("printf 'a\\tb\\n1\\t2\\n' > \(production + name)")
            #expect(outcome.succeeded, "\(outcome)")
            #expect(mount.isSealed(production + name), "\(name) is sealed; log: \(mount.log)")
            return Subject(path: production + name, bytes: table, fresh: production + fresh)
        case .live, .free:
            let session = mount.session(state == .live ? "base/analysis_sequences/" : "scratch/")
            try write(table, to: session + name)
            return Subject(path: session + name, bytes: table, fresh: session + fresh)
        case .frozen:
            let shown = mount.path("development/\(frozen)/base/analysis_sequences/")
            try write(table, to: mount.real("base_layer/dev/\(frozen)/analysis_sequences_\(name)"))
            return Subject(path: shown + name, bytes: table, fresh: shown + fresh)
        }
    }

    /// What must be the same after a refusal.
    private struct Picture: Equatable {
        var bytes: String?
        var attributes: [Int64]
        var extended: [String]
        var names: [String]
        var real: [String]
    }

    private func picture(of subject: Subject) -> Picture {
        let slash = subject.path.lastIndex(of: "/") ?? subject.path.startIndex
        let shown = try? attributes(subject.path)
        return Picture(
            bytes: try? contents(subject.path),
            attributes: shown.map {
                [Int64($0.st_ino), Int64($0.st_mode), Int64($0.st_uid), Int64($0.st_size), Int64($0.st_mtim.tv_sec)]
            } ?? [],
            extended: ["user.artifact.note", "user.other"].map {
                (try? extendedAttribute($0, of: subject.path)) ?? "none"
            },
            names: (try? names(in: String(subject.path[..<slash]))) ?? [], real: mount.realFiles())
    }

    /// Does it, and compares the answer; a refusal is counted and changes nothing.
    func expect(
        _ expected: Errno?, _ what: String, _ subject: Subject, _ body: () throws(Errno) -> Void
    ) throws {
        // What other subjects have on their way arrives now and not in between.
        if expected != nil {
            #expect(eventually(within: 60) { mount.count("publishing") == 0 || what.contains("sealing") })
        }
        let before = picture(of: subject)
        let got = answer(body)
        let says = { (errno: Errno?) in errno.map { "\($0)" } ?? "success" }
        #expect(got == expected, "\(what): expected \(says(expected)), got \(says(got))")
        guard expected != nil, got == expected else { return }
        var after = picture(of: subject)
        // A file that is being published appears at its real path when it is ready.
        if what.contains("sealing") { after.real = before.real }
        #expect(after == before, "\(what): a refusal changes nothing")
    }
}
