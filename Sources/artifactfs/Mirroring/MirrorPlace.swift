import ArtifactRecords
import ArtifactStore
import Artifacts
import Glibc
import Mirrors
import ObjectStorage
import SystemCalls
import SystemPackage

/// What a store knows of one of its mirrors: `.artifactfs/mirrors/<name>/`. No credentials are there.
struct MirrorPlace {
    let store: String
    let name: String
    var settings: MirrorSettings

    var place: BucketPlace { settings.place }
    var profile: String? { settings.profile }

    /// The directory of all mirrors of a store.
    static func directory(of store: String) -> String { "\(store)/\(StoreLayout.privateDirectory)/mirrors" }

    var directory: String { Self.directory(of: store) + "/" + name }

    private static let settingsName = "mirror.json"
    /// What is known to be there, a line each.
    private static let sent = "sent"
    /// The last snapshot.
    private static let last = "last.jsonl"
    /// Uploads in parts that have begun.
    private static let uploads = "uploads"
    private static let lockName = "lock"

    /// Whether a text can be a mirror's name.
    static func isName(_ text: String) -> Bool {
        MirrorName.isName(text)
    }

    /// The store of a place, whose own directory this user may read.
    static func store(of place: StorePlace) throws -> String {
        guard let store = place.store else {
            throw Failure(.cannotAnswer, "the mount at \(place.path) does not say where its store is")
        }
        guard
            (try? SystemCall.checkAccess(atPath: store + "/" + StoreLayout.privateDirectory, R_OK | W_OK | X_OK)) != nil
        else { throw ShownArtifact.closed(store) }
        return store
    }

    /// All mirrors of a store, by their names.
    static func all(of store: String) throws -> [MirrorPlace] {
        try Paths.names(directory(of: store)).filter {
            isName($0) && contents("\(directory(of: store))/\($0)/\(settingsName)", store) != nil
        }
        .sorted().map { try MirrorPlace(store, $0) }
    }

    /// One, or the only one.
    static func find(_ name: String?, of store: String) throws -> MirrorPlace {
        if let name {
            guard isName(name), contents("\(directory(of: store))/\(name)/\(settingsName)", store) != nil
            else {
                throw Failure(
                    .cannotAnswer,
                    "\(store) has no mirror '\(name)': 'artifactfs mirror status' lists them, 'mirror add' makes one")
            }
            return try MirrorPlace(store, name)
        }
        let all = try all(of: store)
        guard let only = all.first else {
            throw Failure(
                .cannotAnswer,
                "\(store) has no mirror: 'artifactfs mirror add NAME s3://BUCKET/PREFIX' makes one, or gs://")
        }
        guard all.count == 1 else {
            throw Failure(
                .usage, "\(store) has several mirrors: name one of \(all.map(\.name).joined(separator: ", "))")
        }
        return only
    }

    init(store: String, name: String, place: BucketPlace, profile: String?) {
        (self.store, self.name) = (store, name)
        settings = MirrorSettings(place: place, profile: profile)
    }

    private init(_ store: String, _ name: String) throws {
        let file = "\(Self.directory(of: store))/\(name)/\(Self.settingsName)"
        guard let settings = Self.contents(file, store).flatMap({ MirrorSettings($0) }) else {
            throw Failure(
                .failed, "\(file) does not say where the mirror is; remove its directory, and add the mirror again")
        }
        (self.store, self.name, self.settings) = (store, name, settings)
    }

    /// Writes where the mirror is.
    func keep() throws {
        try doing("kept") { () throws(Errno) in
            try Self.make(Self.directory(of: store))
            try Self.make(directory)
            try write(Array("\(JSONValue.object(settings.json))\n".utf8), Self.settingsName)
        }
    }

    /// The store's own name, by which a mirror knows it again; made where there is none yet.
    static func identity(of store: String) throws -> String {
        let file = directory(of: store) + "/store"
        if let found = known(file, store) { return found }
        let bytes = (0..<16).map { _ in UInt8.random(in: .min ... .max) }
        let new = bytes.map { String($0 >> 4, radix: 16) + String($0 & 15, radix: 16) }.joined()
        do throws(Errno) {
            try asOwner(of: store) { () throws(Errno) in
                try make(directory(of: store))
                let unfinished = "\(file).\(getpid())"
                try? SystemCall.unlink(SystemCall.currentDirectory, unfinished)
                try write(Array((new + "\n").utf8), to: unfinished)
                defer { try? SystemCall.unlink(SystemCall.currentDirectory, unfinished) }
                // Another process may have been quicker: its name counts.
                do throws(Errno) {
                    try SystemCall.link(SystemCall.currentDirectory, unfinished, SystemCall.currentDirectory, file)
                } catch .fileExists {}
            }
        } catch { throw Failure(.failed, "\(file) cannot be made: \(error)") }
        guard let found = known(file, store) else {
            throw Failure(.failed, "\(file) does not have the store's name; it should be 32 digits")
        }
        return found
    }

    private static func known(_ file: String, _ store: String) -> String? {
        guard let bytes = contents(file, store, limit: 4096), bytes.count == 33, bytes.last == UInt8(ascii: "\n") else {
            return nil
        }
        return String(validating: bytes.dropLast(), as: UTF8.self)
    }

    // MARK: - One at a time

    /// Runs something that nobody else does with this mirror meanwhile.
    func alone<Result>(_ body: () throws -> Result) throws -> Result {
        let lock: FileDescriptor
        do throws(Errno) {
            lock = try Self.asOwner(of: store) { () throws(Errno) in
                try SystemCall.open(
                    SystemCall.currentDirectory, directory + "/" + Self.lockName, O_RDWR | O_CREAT | O_NOFOLLOW, 0o600)
            }
        } catch { throw Failure(.failed, "\(directory) cannot be used: \(error)") }
        defer { SystemCall.closeLock(lock) }
        do throws(Errno) { try SystemCall.lock(lock, waiting: false) } catch .wouldBlock {
            throw Failure(.busy, "another process is at work with the mirror '\(name)'; wait until it is done")
        } catch { throw Failure(.failed, "\(directory) cannot be locked: \(error)") }
        return try body()
    }

    // MARK: - What is there

    /// The keys that are known to be there.
    func sentKeys() -> Set<String> { Set(sentObjects().keys) }

    /// The keys that are known to be there, each with the version that was sent, where the bucket keeps them.
    func sentObjects() -> [String: String?] {
        guard let bytes = Self.contents(directory + "/" + Self.sent, store, limit: 4 << 30) else { return [:] }
        // The last line may have been cut: it does not count.
        let whole = bytes[..<(bytes.lastIndex(of: UInt8(ascii: "\n")) ?? 0)]
        var all: [String: String?] = [:]
        for line in whole.split(separator: UInt8(ascii: "\n")) {
            let words = line.split(separator: UInt8(ascii: " ")).map { String(decoding: $0, as: UTF8.self) }
            guard let key = words.first else { continue }
            all.updateValue(words.count > 1 ? words[1] : nil, forKey: key)
        }
        return all
    }

    /// Does something in the store with its owner's rights.
    func inStore<Result>(_ body: () throws(Errno) -> Result) throws(Errno) -> Result {
        try Self.asOwner(of: store, body)
    }

    /// The file to which keys are added that are there; a line that was cut is ended.
    func openSent() throws -> FileDescriptor {
        try doing("kept") { () throws(Errno) in
            let path = directory + "/" + Self.sent
            let file = try SystemCall.open(
                SystemCall.currentDirectory, path, O_RDWR | O_CREAT | O_APPEND | O_NOFOLLOW, 0o600)
            let size = Int64(try SystemCall.attributes(file).st_size)
            if size > 0, try SystemCall.bytes(file, at: size - 1, count: 1) != [UInt8(ascii: "\n")] {
                try SystemCall.write(file, [UInt8(ascii: "\n")])
            }
            return file
        }
    }

    /// Nothing is known to be there any more: the next push asks the server.
    func forget() {
        for name in [Self.sent, Self.last] { remove(name) }
    }

    private func remove(_ name: String) {
        try? Self.asOwner(of: store) { () throws(Errno) in
            try SystemCall.unlink(SystemCall.currentDirectory, directory + "/" + name)
        }
    }

    /// The last snapshot that this store has sent; nil where none is known.
    func lastSnapshot() -> MirrorSnapshot? {
        Self.contents(directory + "/" + Self.last, store, limit: 1 << 30).flatMap { MirrorSnapshot.read($0).snapshot }
    }

    func keep(_ snapshot: MirrorSnapshot) throws {
        try doing("kept") { () throws(Errno) in try write(snapshot.text, Self.last) }
    }

    /// Uploads that had begun and of which nobody knows how they ended: their numbers and keys.
    func unfinished() -> [(upload: String, key: String)] {
        let text =
            Self.contents(directory + "/" + Self.uploads, store).map { String(decoding: $0, as: UTF8.self) } ?? ""
        let lines = text.split(separator: "\n").map { $0.split(separator: " ").map(String.init) }
        let ended = Set(lines.filter { $0.count == 1 }.map { $0[0] })
        return lines.compactMap { $0.count == 2 && !ended.contains($0[0]) ? ($0[0], $0[1]) : nil }
    }

    /// Notes an upload that has begun, or without a key one that has ended.
    func note(_ upload: String, of key: String?) throws(Errno) {
        try Self.asOwner(of: store) { () throws(Errno) in
            let file = try SystemCall.open(
                SystemCall.currentDirectory, directory + "/" + Self.uploads, O_WRONLY | O_CREAT | O_APPEND | O_NOFOLLOW,
                0o600)
            defer { SystemCall.close(file) }
            try SystemCall.write(file, Array((key.map { "\(upload) \($0)\n" } ?? "\(upload)\n").utf8))
        }
    }

    func forgetUploads() { remove(Self.uploads) }

    // MARK: - Files

    private func doing<Result>(_ what: String, _ body: () throws(Errno) -> Result) throws -> Result {
        do throws(Errno) { return try Self.asOwner(of: store, body) } catch {
            throw Failure(.failed, "what is known of the mirror cannot be \(what) in \(directory): \(error)")
        }
    }

    private func write(_ bytes: [UInt8], _ name: String) throws(Errno) {
        let new = "\(directory)/.\(name)"
        try? SystemCall.unlink(SystemCall.currentDirectory, new)
        try Self.write(bytes, to: new)
        try SystemCall.rename(SystemCall.currentDirectory, new, SystemCall.currentDirectory, "\(directory)/\(name)", 0)
    }

    private static func write(_ bytes: [UInt8], to path: String) throws(Errno) {
        let file = try SystemCall.open(
            SystemCall.currentDirectory, path, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW, 0o600)
        defer { SystemCall.close(file) }
        try SystemCall.write(file, bytes)
        try SystemCall.sync(file)
    }

    private static func make(_ path: String) throws(Errno) {
        do throws(Errno) { try SystemCall.makeDirectory(SystemCall.currentDirectory, path, 0o700) } catch .fileExists {}
    }

    private static func contents(_ path: String, _ store: String, limit: Int = 16 << 20) -> [UInt8]? {
        try? asOwner(of: store) { () throws(Errno) in try Paths.read(path, limit: limit) }
    }

    /// What root does in somebody's store is done with their rights, so that no link of theirs leads root elsewhere, and what is made is theirs.
    private static func asOwner<Result>(
        of store: String, _ body: () throws(Errno) -> Result
    ) throws(Errno) -> Result {
        guard geteuid() == 0 else { return try body() }
        let owner = try SystemCall.attributes(SystemCall.currentDirectory, store + "/" + StoreLayout.privateDirectory)
        return try UserRights(user: owner.st_uid, group: owner.st_gid, groups: []).acting(body)
    }

    // MARK: - The server

    /// The credentials that are meant.
    static func chain(_ profile: String?) -> CredentialChain {
        var environment: [String: String] = [:]
        for name in [
            "GS_ACCESS_KEY_ID", "GS_SECRET_ACCESS_KEY", "AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY",
            "AWS_SESSION_TOKEN", "AWS_PROFILE", "AWS_REGION",
            "AWS_DEFAULT_REGION", "AWS_SHARED_CREDENTIALS_FILE", "AWS_CONFIG_FILE",
            "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI", "AWS_CONTAINER_CREDENTIALS_FULL_URI",
            "AWS_CONTAINER_AUTHORIZATION_TOKEN", "AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE", "AWS_EC2_METADATA_DISABLED",
            "AWS_EC2_METADATA_SERVICE_ENDPOINT",
        ] { environment[name] = getenv(name).map { String(cString: $0) } }
        let home = getenv("HOME").map { String(cString: $0) } ?? SystemCall.homeDirectory(geteuid())
        return CredentialChain(environment: environment, home: home, profile: profile) { path in
            Paths.contents(path, limit: 1 << 20).map { String(decoding: $0, as: UTF8.self) }
        }
    }

    func bucket(limit: Int64? = nil) throws -> Bucket {
        do throws(StorageFault) {
            let bucket = try Bucket(
                BucketAccess(place, chain: Self.chain(profile), limit: limit, retention: settings.retention))
            try bucket.check()
            return bucket
        } catch { throw Failure(error) }
    }
}

extension Failure {
    /// What a server refused, or did not answer.
    init(_ fault: StorageFault) {
        let way =
            switch fault.kind {
            case .noBucket: "; make the bucket, or name another"
            case .denied: "; these credentials may not do it, or the server does not know them"
            case .unreachable: "; what was sent counts: run it again"
            default: ""
            }
        let isOfObject = [.differs, .missing, .taken, .local].contains(fault.kind)
        self.init(isOfObject ? .failed : .cannotAnswer, fault.description + way)
    }
}
