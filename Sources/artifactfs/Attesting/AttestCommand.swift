import ArgumentParser
import ArtifactRecords
import Attestations
import Glibc

/// `artifactfs attest`
struct AttestCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "attest",
        abstract: "Sign sealed artifacts with a key, or verify such signatures.",
        usage: """
            artifactfs attest [PATH... | QUERY...] [--key KEY] [--out DIR]
                              [--store PLACE] [--json]
            artifactfs attest --verify [PATH... | QUERY...] --public-key PUB
                              [--out DIR | --signature FILE] [--store PLACE]
                              [--json]
            """,
        discussion: """
            Reads each artifact, and signs it when its bytes are what was sealed. There are two statements of each: what it is (OpenSSF Model \
            Signing v1: the SHA-256 of each file in it), and how it was made (SLSA v1 provenance: command, code, inputs by hash), as far \
            as its record says that. What nobody observed is not in it. Each is a DSSE envelope in a Sigstore bundle, signed by ECDSA over P-256.

            The store keeps them, for its owner and root: all of an artifact's, or none. With --out they are also written to DIR, as PATH.sig \
            and PATH.provenance.json, where PATH is the artifact's on the mount; that is what others may do who can read it. What is there \
            already is not replaced, and what the key has signed before is not signed again.

            With --verify nothing is written: signatures, statements and bytes are checked against each other and against the \
            records. --signature takes one that 'model_signing sign key' has made, too.

            Without PATH and QUERY it is all of production, and without --key the key is the one that the store's schema names \
            (signing_key), by which 'artifactfs promote' signs what it publishes.

            EXAMPLES:
              openssl ecparam -name prime256v1 -genkey -noout -out lab.pem
              openssl pkey -in lab.pem -pubout -out lab.pub
              chmod 600 lab.pem
              artifactfs attest 'type = meta_models' --key lab.pem --out signed
              artifactfs attest --verify 'type = meta_models' --public-key lab.pub

            Elsewhere, without artifactfs (pip install model-signing), for a file and for a directory alike:
              model_signing verify key --public_key lab.pub \\
                --signature signed/production/meta/meta_models/m.pkl.sig m.pkl
            Where files such as .gitattributes are in a directory, with --no-ignore-git-paths: they are signed too.

            EXIT STATUS: 0 all are signed, 1 something differs from what was sealed or is not signed, 2 something could not be looked at, or \
            a key cannot be used (and nothing differs), 3 not a store, 6 busy, 64 wrong usage.
            """)

    @Argument(help: "Paths on a mount or in a store, or a query as of 'artifactfs find'.")
    var words: [String] = []
    @OptionGroup var store: StoreArguments
    @Option(name: .long, help: "The private key, in PEM: ECDSA over P-256, yours alone.", completion: .file())
    var key: String?
    @Flag(name: .long, help: "Check signatures.")
    var verify = false
    @Option(name: .long, help: "The public key, in PEM.", completion: .file())
    var publicKey: String?
    @Option(
        name: .long,
        help: ArgumentHelp(
            "Also write the signatures to a directory; with --verify: read them there.", valueName: "dir"),
        completion: .directory)
    var out: String?
    @Option(
        name: .long, help: ArgumentHelp("With --verify: the signature of the one artifact.", valueName: "file"),
        completion: .file())
    var signature: String?
    @Flag(name: .long, help: "Print JSON, an object a line.")
    var json = false

    func run() throws {
        try reporting {
            let status = verify ? try check() : try sign()
            if status != 0 { throw ExitCode(status) }
        }
    }

    private func sign() throws -> Int32 {
        guard publicKey == nil, signature == nil else {
            throw Failure(.usage, "--public-key and --signature go with --verify")
        }
        let named = try key.map { try KeyFile.read($0, .privateKey) }
        let place = try ChosenArtifacts.place(of: words, store)
        guard let read = try named ?? KeyFile.ofSchema(place) else {
            throw Failure(
                .usage, "name the private key to sign with: --key KEY (the store's schema names none by signing_key)")
        }
        let files = try out.map { try AttestationFiles($0, isToBeMade: true) }
        let sum = try AttestedRecords.with(place, words: words, key: read.id) { records in
            var signing = try Signing(place, key: read, files: files)
            defer { signing.end() }
            return try signing.run(&records) { one, outcome in
                if json { return print(JSONValue.object(Signing.json(one, outcome, read.id, files))) }
                if let words = outcome.problem { Terminal.show("\(one.path): \(words)") }
            }
        }
        if !json {
            Terminal.show(sum.words)
            if let hint = sum.hint { Terminal.show(hint) }
        } else if sum.withoutRecord > 0 {
            Terminal.complain(sum.words)
        }
        return sum.status
    }

    private func check() throws -> Int32 {
        guard let publicKey else { throw Failure(.usage, "name the public key to verify with: --public-key PUB") }
        guard key == nil else { throw Failure(.usage, "--verify takes --public-key and not --key") }
        guard out == nil || signature == nil else { throw Failure(.usage, "--out and --signature exclude each other") }
        let read = try KeyFile.read(publicKey, .publicKey)
        let source: SignatureCheck.SignaturePlace =
            if let signature { .file(signature) } else if let out {
                .files(try AttestationFiles(out, isToBeMade: false))
            } else {
                .store
            }
        let place = try ChosenArtifacts.place(of: words, store)
        let sum = try AttestedRecords.with(place, words: words, key: read.id) { records in
            let checking = try SignatureCheck(place, key: read, source)
            return try checking.run(&records) { one, outcome in
                if json { return print(JSONValue.object(SignatureCheck.json(one, outcome))) }
                if let words = outcome.problem { Terminal.show("\(one.path): \(words)") }
            }
        }
        if !json { Terminal.show(sum.words) } else if sum.withoutRecord > 0 { Terminal.complain(sum.words) }
        return sum.status
    }
}
