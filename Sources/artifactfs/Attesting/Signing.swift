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
    /// The same, to be changed; opened when something is.
    private var changing: Store?
    /// Which of them the ledger tells of; read when that is asked.
    private var noted: Set<AttestedName>?

    /// - Parameter files: where they are written too.
    init(_ place: StorePlace, key: EllipticKey, files: AttestationFiles?) throws {
        (self.key, self.files) = (key, files)
        guard let path = place.store else {
            guard files == nil else {
                store = nil
                return
            }
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
                ? "the file system of \(path) is mounted read-only" : Failure.whoMay(lookInto: own)
            throw Failure(
                .cannotAnswer, "\(why), so no signature can be kept there: write them elsewhere with --out DIR")
        }
        store = try ShownArtifact.openStore(path)
    }

    func end() { changing?.close() }

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

    /// - Returns: whether it was signed now, or came to a place where it was not.
    private mutating func sign(_ statements: AttestedRecords.SignedStatements) throws -> Bool {
        let name = statements.name
        let kept: KeptAttestation?
        do throws(Errno) { kept = try store?.attestation(name) } catch { throw failure(error) }
        let (isKept, written) = (says(kept, statements), try files?.find(name.path))
        let isWritten = says(written, statements)
        // What the key has signed is copied; else there would be two.
        let known = isKept ? kept : isWritten ? written : nil
        let attestation = try known ?? make(statements)
        // Elsewhere first: where something else is there it is not replaced, and then nothing is kept.
        if let files, !isWritten { try files.write(attestation, of: name.path) }
        if store != nil, !isKept { try keep(attestation, name) } else { try note(name) }
        return store != nil && !isKept || files != nil && !isWritten
    }

    private func make(_ statements: AttestedRecords.SignedStatements) throws -> KeptAttestation {
        guard let signature = SignedEnvelope(signing: statements.model.json, with: key),
            let provenance = try provenance(of: statements)
        else { throw Failure(.failed, "the system's OpenSSL cannot sign with this key") }
        return KeptAttestation(signature: signature.text, provenance: provenance)
    }

    /// - Returns: nil when it cannot be signed; and nil in it when there is none.
    private func provenance(of statements: AttestedRecords.SignedStatements) throws -> [UInt8]?? {
        guard let statement = statements.provenance else { return .some(nil) }
        // Who was killed before the signature was written has left it.
        if let left = try files?.provenance(left: statements.name.path), isSigned(left, statement) { return left }
        return SignedEnvelope(signing: statement, with: key).map { .some($0.text) }
    }

    /// Whether what there is says the same, by this key.
    private func says(_ old: KeptAttestation?, _ statements: AttestedRecords.SignedStatements) -> Bool {
        guard let old, isSigned(old.signature, statements.model.json) else { return false }
        guard let statement = statements.provenance else { return old.provenance == nil }
        return old.provenance.map { isSigned($0, statement) } ?? false
    }

    private func isSigned(_ text: [UInt8], _ statement: JSONValue) -> Bool {
        guard let envelope = try? SignedEnvelope(reading: text), (try? envelope.verify(with: key)) != nil else {
            return false
        }
        return envelope.payload == Array(statement.description.utf8)
    }

    private mutating func keep(_ attestation: KeptAttestation, _ name: AttestedName) throws {
        let store = try opened()
        do throws(Errno) { try store?.keep(attestation, as: name, by: getuid()) } catch { throw failure(error) }
    }

    /// Who was killed before the ledger told of it left it without a line.
    private mutating func note(_ name: AttestedName) throws {
        do throws(Errno) {
            if noted == nil { noted = try store?.notedAttestations(by: name.key) }
        } catch { throw failure(error) }
        guard let noted, !noted.contains(name) else { return }
        let store = try opened()
        do throws(Errno) { try store?.noteAttestation(name, by: getuid()) } catch { throw failure(error) }
    }

    private mutating func opened() throws -> Store? {
        if changing == nil, let store {
            changing = try Store(at: store.path, readOnly: false, durability: .synced)
        }
        return changing
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
