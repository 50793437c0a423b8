import ArgumentParser
import ArtifactRecords
import ArtifactStore
import Attestations

/// What is promoted is signed when the store's schema names a key (SEMANTICS 2.9). It is published by then, whatever comes of this.
struct PromotedSignatures {
    private let place: PromotingPlace

    init(_ place: PromotingPlace) { self.place = place }

    /// Signs artifacts.
    ///
    /// - Parameter paths: from the mount point.
    /// - Throws: exit status 9 when one is not signed; which, why and what to do is said.
    func sign(_ paths: [String]) throws {
        guard !paths.isEmpty else { return }
        let store = StorePlace(mount: place.mount, store: place.store)
        var unsigned: [String]
        let total: Signing.SigningTotal?
        do {
            guard let key = try KeyFile.ofSchema(store) else { return }
            unsigned = []
            let words = try paths.map { try place.location(of: $0) }
            var signed: Set<String> = []
            total = try AttestedRecords.with(store, words: words, key: key.id) { records in
                var signing = try Signing(store, key: key, files: nil)
                defer { signing.end() }
                return try signing.run(&records) { one, outcome in
                    if let problem = outcome.problem {
                        Terminal.complain("\(one.path): \(problem)")
                    } else {
                        signed.insert(one.path)
                    }
                }
            }
            unsigned = paths.filter { !signed.contains($0) }
        } catch let failure as Failure {
            Terminal.complain(failure.text)
            (unsigned, total) = (paths, nil)
        }
        if let total, total.signed + total.before > 0 { Terminal.show(total.words) }
        guard let first = unsigned.first else { return }
        let named = Shell.quoted(place.mount.map { $0.mountPoint + "/" + first } ?? first)
        Terminal.complain(
            "\(unsigned.count) of \(paths.count) are published and not signed: 'artifactfs attest \(named)"
                + "\(unsigned.count > 1 ? " ..." : "")' of who may use the key signs later what is not yet")
        throw ExitCode(Status.unsigned.rawValue)
    }
}
