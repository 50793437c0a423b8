/// A page of the versions that objects have (ListObjectVersions), as far as it says which objects were deleted and are there still in versions.
public struct DeletedPage: Sendable, Hashable {
    /// Behind which one the next page begins.
    public struct VersionMarker: Sendable, Hashable {
        let key, version: String
    }

    /// All of their keys.
    public let deleted: [String]
    /// What the next page is asked for with; nil of the last.
    public let next: VersionMarker?

    /// Reads an answer; nil of what is none.
    public init?(_ bytes: [UInt8]) {
        // The second is moto's name of it.
        guard let list = AnswerXML(bytes), ["ListVersionsResult", "ListObjectVersionsResponse"].contains(list.name)
        else { return nil }
        deleted = list.elements.filter { $0.name == "DeleteMarker" && $0["IsLatest"] == "true" }
            .compactMap { $0["Key"] }
        let key = list["NextKeyMarker"] ?? ""
        next =
            list["IsTruncated"] == "true" && !key.isEmpty
            ? VersionMarker(key: key, version: list["NextVersionIdMarker"] ?? "") : nil
    }
}

extension Bucket {
    /// The keys that begin with something and whose objects were deleted, where the bucket keeps their versions.
    ///
    /// - Returns: nil where the server does not say, or not to these credentials.
    public func deleted(withPrefix prefix: String) throws(StorageFault) -> [String]? {
        // Google's keeps what was there under other numbers, and marks nothing.
        guard place.dialect == .s3 else { return nil }
        var (all, marker): ([String], DeletedPage.VersionMarker?) = ([], nil)
        // A server that never ends is not believed.
        for _ in 0..<10_000 {
            var query = [("versions", ""), ("prefix", prefix)]
            if let marker { query += [("key-marker", marker.key), ("version-id-marker", marker.version)] }
            let answer: ServerAnswer
            do throws(StorageFault) { answer = try ask(BucketRequest(method: "GET", key: "", query: query)) } catch {
                guard [.denied, .other, .missing].contains(error.kind) else { throw error }
                return nil
            }
            guard let page = DeletedPage(answer.body) else { return nil }
            all += page.deleted
            guard let next = page.next, next != marker else { break }
            marker = next
        }
        return all
    }
}
