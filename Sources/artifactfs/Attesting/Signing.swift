import ArtifactRecords
import ArtifactStore
import Artifacts
import Attestations
import Glibc
import SystemCalls
import SystemPackage

/// Artifacts that are signed, one after the other.
struct Signing {
    /// What became of one.
    enum SigningOutcome {
        case signed
        /// It was signed with this key before.
        case before
        case differs(String)
        case unknown(String)

        /// For people; nil where there is none.
        var problem: String? {
            switch self {
            case .signed, .before: nil
            case .differs(let why): "is NOT SIGNED, as it differs from what was sealed: \(why)"
            case .unknown(let why): "is not signed: \(why)"
            }
        }
    }

    /// What came of all.
    struct SigningTotal {
        var (signed, before, differing, unknown, withoutRecord) = (0, 0, 0, 0, 0)
        var key = ""
        /// Where the signatures are, for people.
        var places: [String] = []
        /// How one is verified elsewhere.
        var hint: String?

        var status: Int32 {
            differing > 0 ? Status.failed.rawValue : unknown + withoutRecord > 0 ? Status.cannotAnswer.rawValue : 0
        }

        var words: String {
            let all = signed + before
            var words = [
                "\(all) \(all == 1 ? "artifact is" : "artifacts are") signed with the key \(key.prefix(16))"
                    + (before > 0 ? " (\(before) of them before)" : "") + ", \(places.joined(separator: " and "))"
            ]
            if differing > 0 { words.append("\(differing) \(differing == 1 ? "differs" : "differ")") }
            if unknown > 0 { words.append("\(unknown) could not be looked at") }
            if withoutRecord > 0 { words.append("of \(withoutRecord) more no record is shown to you") }
            return words.joined(separator: "; ")
        }
    }

    private let key: EllipticKey
    private let files: AttestationFiles?
    /// Where they are kept; nil where that is not this user's to do.
    private let store: Store?
    /// Which of them the ledger tells of; read when that is asked.
    private var noted: Set<AttestedName>?

    /// - Parameter files: where they are written too.
    init(_ place: StorePlace, key: EllipticKey, files: AttestationFiles?) throws {
        (self.key, self.files) = (key, files)
        guard let path = place.store else {
            throw Failure(.cannotAnswer, "the mount at \(place.path) does not say where its store is")
        }
        let own = path + "/" + StoreLayout.privateDirectory
        do throws(Errno) {
            try SystemCall.checkAccess(atPath: own, R_OK | W_OK | X_OK)
        } catch {
            guard files == nil else {
                store = nil
                return
            }
            let why =
                error == .readOnlyFileSystem
                ? "the file system of \(path) is mounted read-only" : "\(own) is its owner's and root's"
            throw Failure(
                .cannotAnswer, "\(why), so no signature can be kept there: write them elsewhere with --out DIR")
        }
        store = try Store(at: path, readOnly: false, durability: .synced)
    }

    func end() { store?.close() }

    /// Signs them.
    ///
    /// - Parameter told: called with each.
    mutating func run(
        _ records: inout AttestedRecords, told: (Proving.Sealed, SigningOutcome) -> Void
    ) throws -> SigningTotal {
        var sum = SigningTotal()
        sum.key = key.id
        sum.withoutRecord = records.withoutRecord
        sum.places = (store == nil ? [] : ["kept in the store"]) + (files == nil ? [] : ["written to --out"])
        let all = records.all
        let bar = ProgressBar("signing")
        defer { bar.end() }
        let bytes = all.reduce(Int64(0)) { $0 &+ ($1.size ?? 0) }
        var done: Int64 = 0
        for one in all {
            let outcome: SigningOutcome
            switch try records.read(one) {
            case .differs(let why): outcome = .differs(why)
            case .unknown(let why): outcome = .unknown(why)
            case .whole(let statements):
                outcome = try sign(statements) ? .signed : .before
                if sum.hint == nil { sum.hint = hint(statements, records.place(of: one)) }
            }
            switch outcome {
            case .signed: sum.signed += 1
            case .before: sum.before += 1
            case .differs: sum.differing += 1
            case .unknown: sum.unknown += 1
            }
            told(one, outcome)
            done = done &+ (one.size ?? 0)
            bar.show(done, of: max(1, bytes))
        }
        return sum
    }

    /// - Returns: whether it was signed now.
    private mutating func sign(_ statements: AttestedRecords.SignedStatements) throws -> Bool {
        let name = statements.name
        let kept: KeptAttestation?
        do throws(Errno) { kept = try store?.attestation(name) } catch { throw failure(error) }
        let written = try files?.find(name.path)
        // What the key has signed is copied; else there would be two.
        if let old = [kept, written].compactMap({ $0 }).first(where: { says($0, statements) }) {
            if kept != old { try keep(old, name) } else { try note(name) }
            try files?.write(old, of: name.path)
            return kept == nil && store != nil || files != nil && written == nil
        }
        guard let signature = SignedEnvelope(signing: statements.model.json, with: key),
            let new = provenance(of: statements)
        else { throw Failure(.failed, "the system's OpenSSL cannot sign with this key") }
        let attestation = KeptAttestation(signature: signature.text, provenance: new.map(\.text))
        // Elsewhere first: what is there already is not replaced, and then nothing is kept.
        try files?.write(attestation, of: name.path)
        try keep(attestation, name)
        return true
    }

    /// - Returns: nil when it cannot be signed; and nil in it when there is none.
    private func provenance(of statements: AttestedRecords.SignedStatements) -> SignedEnvelope?? {
        guard let statement = statements.provenance else { return .some(nil) }
        return SignedEnvelope(signing: statement, with: key).map { .some($0) }
    }

    /// Whether what there is says the same, by this key.
    private func says(_ old: KeptAttestation, _ statements: AttestedRecords.SignedStatements) -> Bool {
        func isSigned(_ text: [UInt8], _ statement: JSONValue) -> Bool {
            guard let envelope = try? SignedEnvelope(reading: text), (try? envelope.verify(with: key)) != nil else {
                return false
            }
            return envelope.payload == Array(statement.description.utf8)
        }
        guard isSigned(old.signature, statements.model.json) else { return false }
        guard let statement = statements.provenance else { return old.provenance == nil }
        return old.provenance.map { isSigned($0, statement) } ?? false
    }

    private func keep(_ attestation: KeptAttestation, _ name: AttestedName) throws {
        do throws(Errno) { try store?.keep(attestation, as: name, by: getuid()) } catch { throw failure(error) }
    }

    /// Who was killed before the ledger told of it left it without a line.
    private mutating func note(_ name: AttestedName) throws {
        guard let store else { return }
        do throws(Errno) {
            if noted == nil { noted = try store.notedAttestations(by: name.key) }
            if noted?.contains(name) != true { try store.noteAttestation(name, by: getuid()) }
        } catch { throw failure(error) }
    }

    private func failure(_ error: Errno) -> Failure {
        let path = "\(store?.path ?? "")/\(StoreLayout.privateDirectory)/attestations"
        let way = DiskRoom.isForWantOfRoom(error) ? "; make room there" : ""
        return Failure(.failed, "signatures cannot be kept in \(path): \(error)\(way)")
    }

    private func hint(_ statements: AttestedRecords.SignedStatements, _ place: String) -> String? {
        guard let files else { return nil }
        // Verifiers leave these out of a directory, unless they are told not to.
        let own: Set = [".git", ".gitattributes", ".github", ".gitignore"]
        let hasOwn = statements.model.resources.contains { file in
            file.name.split(separator: "/").first.map { own.contains(String($0)) } ?? false
        }
        let signature = Shell.quoted(files.signature(of: statements.name.path))
        return "verify elsewhere with: model_signing verify key --public_key PUB "
            + (hasOwn ? "--no-ignore-git-paths " : "") + "--signature \(signature) \(Shell.quoted(place))"
    }

    /// What became of one, for programs.
    static func json(
        _ one: Proving.Sealed, _ outcome: SigningOutcome, _ key: String, _ files: AttestationFiles?
    ) -> JSONObject {
        var all: JSONObject = ["path": .string(one.path)]
        switch outcome {
        case .signed: all["state"] = .string("signed")
        case .before: all["state"] = .string("signed-before")
        case .differs(let why): (all["state"], all["why"]) = (.string("differs"), .string(why))
        case .unknown(let why): (all["state"], all["why"]) = (.string("unknown"), .string(why))
        }
        all["key"] = .string(key)
        if let files, outcome.problem == nil { all["signature"] = .string(files.signature(of: one.path)) }
        return all
    }
}
