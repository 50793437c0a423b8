internal import ArtifactRecords
internal import Glibc

/// What a bucket keeps of what is overwritten or deleted.
extension Bucket {
    /// Asks whether the bucket keeps versions, and for how long.
    public func protection() throws(StorageFault) -> BucketProtection {
        var unknown: String?
        var versioning: BucketProtection.Versioning?
        var lock: BucketProtection.ObjectLock?
        do throws(StorageFault) { versioning = try self.versioning() } catch { unknown = try Self.mayBeUnknown(error) }
        do throws(StorageFault) { lock = try objectLock() } catch {
            let why = try Self.mayBeUnknown(error)
            unknown = unknown ?? why
        }
        return BucketProtection(versioning: versioning, lock: lock, unknown: unknown)
    }

    /// Who may send may not know that, or the server does not.
    private static func mayBeUnknown(_ fault: StorageFault) throws(StorageFault) -> String {
        guard [.denied, .other, .missing].contains(fault.kind) else { throw fault }
        return fault.text
    }

    private func versioning() throws(StorageFault) -> BucketProtection.Versioning? {
        let answer = try ask(BucketRequest(method: "GET", key: "", query: [("versioning", "")]))
        // The second is moto's name of it.
        guard let said = AnswerXML(answer.body),
            ["VersioningConfiguration", "GetBucketVersioningResponse"].contains(said.name)
        else { return nil }
        guard let status = said["Status"] else { return BucketProtection.Versioning.none }
        return BucketProtection.Versioning(rawValue: status.lowercased())
    }

    private func objectLock() throws(StorageFault) -> BucketProtection.ObjectLock? {
        // Google's keeps objects by a rule of the bucket's, or holds: that is nothing that a request says.
        guard place.dialect == .s3 else { return BucketProtection.ObjectLock.none }
        let answer = try ask(BucketRequest(method: "GET", key: "", query: [("object-lock", "")]), accepting: [404])
        let said = AnswerXML(answer.body)
        if answer.status == 404 {
            guard said?["Code"] == "ObjectLockConfigurationNotFoundError" else { return nil }
            return BucketProtection.ObjectLock.none
        }
        guard let said, said.name == "ObjectLockConfiguration" else { return nil }
        guard said["ObjectLockEnabled"] == "Enabled" else { return BucketProtection.ObjectLock.none }
        let usual = said.elements.first { $0.name == "Rule" }?.elements.first { $0.name == "DefaultRetention" }
        guard let usual, let mode = usual["Mode"].flatMap({ ObjectRetention.RetentionMode(rawValue: $0.lowercased()) })
        else { return .enabled(nil) }
        let days = usual["Days"].flatMap { Int64($0) }
        let years = usual["Years"].flatMap { Int64($0) }.map { $0.multipliedReportingOverflow(by: 365) }
        let whole = days ?? years.flatMap { $0.overflow ? nil : $0.partialValue }
        return .enabled(whole.flatMap { ObjectRetention(mode: mode, days: $0) })
    }

    /// What says, with an object that is made, how long it is kept.
    var retentionHeaders: [(String, String)] {
        guard place.dialect == .s3, let retention = access.retention else { return [] }
        var until = access.time()
        until.tv_sec = until.tv_sec &+ Int(retention.days) &* 86_400
        let text = TimeText.rfc3339(until).prefix { $0 != "." } + "Z"
        return [
            ("x-amz-object-lock-mode", retention.mode.rawValue.uppercased()),
            ("x-amz-object-lock-retain-until-date", String(text)),
        ]
    }
}
