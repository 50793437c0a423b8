import ObjectStorage
import Testing

/// How fast may be sent, and what servers say of uploads in parts.
@Suite struct PartTests {
    /// Whoever asks, and however much: no second has more than its share.
    @Test func allSendNoFasterThanTheLimit() {
        let pace = SendPace(limit: 1000)
        #expect(pace.most == 50)
        #expect(pace.turn(500, now: 10) == 0)
        #expect(pace.turn(500, now: 10) == 500_000_000)
        #expect(pace.turn(1, now: 500_000_010) == 500_000_000)
        #expect(pace.turn(1, now: 9_000_000_000) == 0, "who was silent has saved nothing, and owes nothing")
        var clock: UInt64 = 20_000_000_000
        var sent = 0
        while clock < 25_000_000_000 {
            let count = min(pace.most, 1 + sent % 77)
            clock += pace.turn(count, now: clock)
            sent += count
        }
        #expect((4_900...5_060).contains(sent), "\(sent)")
    }

    @Test(arguments: [Int64.min, -1, 0, 1, .max]) func anyNumberIsALimit(limit: Int64) {
        let pace = SendPace(limit: limit)
        #expect(pace.limit >= 1 && pace.most >= 1)
        for count in [Int.min, -1, 0, 1, .max] { _ = pace.turn(count, now: .max) }
    }

    static let parts = """
        <ListPartsResult><UploadId>u</UploadId><IsTruncated>true</IsTruncated><NextPartNumberMarker>2</NextPartNumberMarker>
        <Part><PartNumber>1</PartNumber><ETag>"5d41402abc4b2a76b9719d911017c592"</ETag><Size>5</Size>
        <ChecksumSHA256>LPJNul+wow4m6DsqxbninhsWHlwfp0JecwQzYpOLmCQ=</ChecksumSHA256></Part>
        <Part><PartNumber>2</PartNumber><ETag>"opaque"</ETag><Size>7</Size><ChecksumSHA256>short</ChecksumSHA256></Part></ListPartsResult>
        """
    static let uploads = """
        <ListMultipartUploadsResult><IsTruncated>true</IsTruncated><NextKeyMarker>k</NextKeyMarker><NextUploadIdMarker>v</NextUploadIdMarker>
        <Upload><Key>a/b&amp;c</Key><UploadId>u</UploadId></Upload><Upload><Key>a/b&amp;c</Key><UploadId>v</UploadId></Upload>
        </ListMultipartUploadsResult>
        """

    @Test func listsOfPartsAreRead() throws {
        let page = try #require(PartPage(Array(Self.parts.utf8)))
        #expect(page.parts.map(\.number) == [1, 2] && page.parts.map(\.size) == [5, 7] && page.next == "2")
        #expect(page.parts[0].sha256 == "2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824")
        #expect(page.parts[0].md5 == "5d41402abc4b2a76b9719d911017c592")
        #expect(page.parts[1].sha256 == nil && page.parts[1].md5 == nil)
        let other = try #require(UploadPage(Array(Self.uploads.utf8)))
        #expect(other.uploads.map(\.key) == ["a/b&c", "a/b&c"] && other.uploads.map(\.upload) == ["u", "v"])
        #expect(other.next != nil)
    }

    /// Every number that may stand in a list of parts is read or refused; and what is cut is none.
    @Test func brokenListsAreNone() {
        for number in ["0", "-1", "", "x", "9223372036854775808", "-9223372036854775808"] {
            for (old, name) in [("<PartNumber>1<", "PartNumber"), ("<Size>5<", "Size")] {
                let changed = Self.parts.replacing(old, with: "<\(name)>\(number)<")
                let isZero = number == "0" && name == "Size"
                #expect((PartPage(Array(changed.utf8)) != nil) == isZero, "\(name) \(number)")
            }
        }
        #expect(PartPage(Array(Self.parts.replacing("<Size>5<", with: "<Size>9223372036854775807<").utf8)) != nil)
        for whole in [Array(Self.parts.utf8), Array(Self.uploads.utf8)] {
            for length in 0..<whole.count {
                #expect(PartPage(Array(whole[..<length])) == nil && UploadPage(Array(whole[..<length])) == nil)
            }
        }
        #expect(UploadPage(Array(Self.parts.utf8)) == nil && PartPage(Array(Self.uploads.utf8)) == nil)
    }
}
