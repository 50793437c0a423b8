import ArtifactRecords
import ArtifactStore
import Attestations
import Glibc
import SystemCalls
import SystemPackage

/// Signatures of artifacts that are checked: by a key, against the artifacts' records and their bytes.
struct SignatureCheck {
    /// Where signatures are.
    enum SignaturePlace {
        case store
        case files(AttestationFiles)
        case file(String)
    }

    /// What came of one.
    enum CheckedSignature {
        /// And what it leaves out.
        case good(leftOut: [String])
        case differs([String])
        case unsigned(String)
        case unknown(String)

        /// For people; nil where there is none.
        var problem: String? {
            switch self {
            case .good(let leftOut):
                leftOut.isEmpty
                    ? nil : "is signed, without what the signature leaves out: \(leftOut.joined(separator: ", "))"
            case .differs(let why): "DIFFERS: \(why.joined(separator: "; "))"
            case .unsigned(let why): "is NOT SIGNED: \(why)"
            case .unknown(let why): "could not be looked at: \(why)"
            }
        }
    }

    /// What came of all.
    struct CheckTotal {
        var (good, bytes, differing, unsigned, unknown, withoutRecord) = (0, Int64(0), 0, 0, 0, 0)
        var key = ""

        var status: Int32 {
            differing + unsigned > 0
                ? Status.failed.rawValue : unknown + withoutRecord > 0 ? Status.cannotAnswer.rawValue : 0
        }

        var words: String {
            var words = [
                "\(good) \(good == 1 ? "artifact is" : "artifacts are") what was signed with the key \(key.prefix(16)) "
                    + "(\(ShownText.bytes(bytes)))"
            ]
            if differing > 0 { words.append("\(differing) \(differing == 1 ? "is" : "are") not") }
            if unsigned > 0 { words.append("\(unsigned) \(unsigned == 1 ? "is" : "are") not signed with it") }
            if unknown > 0 { words.append("\(unknown) could not be looked at") }
            if withoutRecord > 0 { words.append("of \(withoutRecord) more no record is shown to you") }
            return words.joined(separator: "; ")
        }
    }

    private let key: EllipticKey
    private let source: SignaturePlace
    private let store: Store?

    init(_ place: StorePlace, key: EllipticKey, _ source: SignaturePlace) throws {
        (self.key, self.source) = (key, source)
        guard case .store = source else {
            store = nil
            return
        }
        guard let path = place.store, AttestedRecords.canRead(path) else {
            throw Failure(
                .cannotAnswer,
                "the signatures that \(place.store ?? place.path) keeps are its owner's and root's to read: "
                    + "name others with --signature FILE or --out DIR")
        }
        store = try ShownArtifact.openStore(path)
    }

    /// Checks them.
    ///
    /// - Parameter told: called with each.
    func run(_ records: inout AttestedRecords, told: (Proving.Sealed, CheckedSignature) -> Void) throws -> CheckTotal {
        var sum = CheckTotal()
        sum.key = key.id
        sum.withoutRecord = records.withoutRecord
        let all = records.all
        if case .file = source, all.count != 1 {
            throw Failure(.usage, "--signature is of one artifact, and these are \(all.count): name its path")
        }
        let bar = ProgressBar("verifying")
        defer { bar.end() }
        let bytes = all.reduce(Int64(0)) { $0 &+ ($1.size ?? 0) }
        var done: Int64 = 0
        for one in all {
            let outcome: CheckedSignature =
                switch try records.read(one) {
                case .differs(let why): .differs([why])
                case .unknown(let why): .unknown(why)
                case .whole(let statements): try check(statements)
                }
            switch outcome {
            case .good: (sum.good, sum.bytes) = (sum.good + 1, sum.bytes &+ (one.size ?? 0))
            case .differs: sum.differing += 1
            case .unsigned: sum.unsigned += 1
            case .unknown: sum.unknown += 1
            }
            told(one, outcome)
            done = done &+ (one.size ?? 0)
            bar.show(done, of: max(1, bytes))
        }
        return sum
    }

    private func check(_ statements: AttestedRecords.SignedStatements) throws -> CheckedSignature {
        let path = statements.name.path
        switch source {
        case .file(let file):
            guard let text = try AttestationFiles.read(file) else {
                throw Failure(.cannotAnswer, "\(file) is not there")
            }
            return check(text, statements, "the signature \(file)", isProvenance: nil)
        case .files(let files):
            guard let found = try files.find(path) else {
                return .unsigned("\(files.signature(of: path)) is not there")
            }
            return check(found, statements, files.signature(of: path), files.provenance(of: path))
        case .store:
            do throws(Errno) {
                guard let found = try store?.attestation(statements.name) else {
                    let name = statements.name
                    let others =
                        try store?.signingKeys(path: name.path, sha256: name.sha256) ?? []
                    let keys = others.map { String($0.prefix(16)) }.joined(separator: ", ")
                    return .unsigned(
                        others.isEmpty
                            ? "the store has no signature of it"
                            : "the store has \(others.count == 1 ? "one by another key" : "some by other keys"): \(keys)"
                    )
                }
                return check(found, statements, "its signature", "its provenance")
            } catch { return .unknown("its signature cannot be read: \(error)") }
        }
    }

    /// Both statements.
    private func check(
        _ found: KeptAttestation, _ statements: AttestedRecords.SignedStatements, _ signature: String,
        _ provenance: String
    ) -> CheckedSignature {
        let first = check(found.signature, statements, signature, isProvenance: false)
        guard case .good = first else { return first }
        guard let text = found.provenance else {
            return statements.provenance == nil ? first : .differs(["\(provenance) is gone"])
        }
        let second = check(text, statements, provenance, isProvenance: true)
        if case .good = second { return first }
        return second
    }

    /// One statement.
    ///
    /// - Parameters:
    ///   - what: the file, for people.
    ///   - isProvenance: which one it has to be; nil for either.
    private func check(
        _ text: [UInt8], _ statements: AttestedRecords.SignedStatements, _ what: String, isProvenance: Bool?
    ) -> CheckedSignature {
        do throws(EnvelopeFault) {
            let statement = try SignedEnvelope(reading: text).verify(with: key)
            if isProvenance ?? (statement.predicateType == ProvenanceStatement.predicateType) {
                let said = try ProvenanceStatement(statement)
                guard let known = statements.provenance else {
                    return .differs(["\(what) tells how it was made, which its record does not"])
                }
                let difference = said.difference(from: try ProvenanceStatement(known))
                return difference.map { .differs(["\(what): \($0)"]) } ?? .good(leftOut: [])
            }
            let said = try ModelStatement(statement)
            let differences = said.differences(from: statements.model.resources)
            return differences.isEmpty
                ? .good(leftOut: said.leftOut(of: statements.model.resources)) : .differs(differences)
        } catch { return .differs(["\(what) \(error)"]) }
    }

    /// What came of one, for programs.
    static func json(_ one: Proving.Sealed, _ outcome: CheckedSignature) -> JSONObject {
        var all: JSONObject = ["path": .string(one.path)]
        switch outcome {
        case .good(let leftOut):
            all["state"] = .string("good")
            if !leftOut.isEmpty { all["left_out"] = .array(leftOut.map { .string($0) }) }
        case .differs(let why):
            (all["state"], all["why"]) = (.string("differs"), .array(why.map { .string($0) }))
        case .unsigned(let why): (all["state"], all["why"]) = (.string("unsigned"), .array([.string(why)]))
        case .unknown(let why): (all["state"], all["why"]) = (.string("unknown"), .array([.string(why)]))
        }
        return all
    }
}
