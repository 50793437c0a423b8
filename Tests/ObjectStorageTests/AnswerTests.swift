import ObjectStorage
import Testing

/// Names of objects, places, and what servers answer.
@Suite struct AnswerTests {
    /// Every byte has a key of its own, which is plain text.
    @Test func everyByteHasItsKey() {
        var seen: Set<String> = []
        for one in UInt8.min...UInt8.max {
            for other in UInt8.min...UInt8.max where one % 16 == 3 || other % 16 == 5 || one == other {
                let key = ObjectKey.encoded([one, other], room: 100)
                #expect(seen.insert(key).inserted, "\(one) \(other)")
                #expect(key.utf8.allSatisfy { $0 > 32 && $0 < 127 })
            }
        }
        #expect(ObjectKey.encoded("base/chr1=a_b-c.tsv".utf8, room: 100) == "base/chr1=a_b-c.tsv")
        #expect(ObjectKey.encoded("a b%\u{e9}\u{1}".utf8, room: 100) == "a%20b%25%C3%A9%01")
        #expect(ObjectKey.encoded("aaaa".utf8, room: 3).utf8.count == 66)
        #expect(ObjectKey.encoded("aaaa".utf8, room: 3) != ObjectKey.encoded("aaab".utf8, room: 3))
    }

    @Test func placesAreRead() throws {
        let aws = try BucketPlace("s3://lab-results/a/b", endpoint: nil)
        #expect((aws.bucket, aws.prefix) == ("lab-results", "a/b/"))
        #expect(try BucketPlace("s3://lab-results", endpoint: nil).prefix == "")
        #expect(
            try BucketPlace("s3://lab-results///a//b//", endpoint: "http://127.0.0.1:5000/")
                == BucketPlace("s3://lab-results/a/b", endpoint: "http://127.0.0.1:5000"))
        let google = try BucketPlace("gs://lab_results/a", endpoint: nil)
        #expect((google.bucket, google.prefix, google.url) == ("lab_results", "a/", "gs://lab_results/a/"))
        #expect(try google != BucketPlace("gs://lab_results/b", endpoint: nil))
        #expect(!google.isParted(1 << 40) && aws.isParted(1 << 40) && !aws.isParted(1))
        let wrong: [(String, String?)] = [
            ("lab-results/a", nil), ("s3://", nil), ("s3://ab", nil), ("s3://Lab", nil), ("s3://lab_results", nil),
            ("s3://lab-results/../x", nil), ("s3://lab-results/a b", nil), ("az://lab-results", nil), ("gs://ab", nil),
            ("s3://lab-results/" + String(repeating: "a", count: 400), nil), ("s3://lab-results", "127.0.0.1:5000"),
            ("s3://lab-results", "http://"), ("s3://lab-results", "http://host/path"),
            ("s3://lab-results", "http://me:secret@host"),
        ]
        for (url, endpoint) in wrong {
            #expect(throws: BucketPlace.URLFault.self, "\(url)") { try BucketPlace(url, endpoint: endpoint) }
        }
    }

    static let list = """
        <?xml version="1.0" encoding="UTF-8"?>
        <ListBucketResult xmlns="http://s3.amazonaws.com/doc/2006-03-01/"><Name>b</Name><EncodingType>url</EncodingType>
        <IsTruncated>true</IsTruncated><!-- between --><NextContinuationToken>a&amp;b&#x3c;&#62;</NextContinuationToken>
        <Contents><Key>a%2520b+c%C3%A9</Key><Size>3</Size><Owner/></Contents><Contents><Key>d</Key><Size>0</Size></Contents>
        </ListBucketResult>
        """

    @Test func listsAreRead() throws {
        let page = try #require(ObjectPage(Array(Self.list.utf8)))
        #expect(page.objects.map(\.key) == ["a%20b c\u{e9}", "d"])
        #expect(page.objects.map(\.size) == [3, 0])
        #expect(page.next == "a&b<>")
        #expect(ObjectPage(Array("<Error><Code>NoSuchBucket</Code></Error>".utf8)) == nil)
        #expect(ObjectPage(Array(Self.list.replacing("<Size>3<", with: "<Size>-3<").utf8)) == nil)
    }

    /// An answer that is cut anywhere is none, and what is changed anywhere is read to its end.
    @Test func brokenAnswersAreNone() {
        let whole = Array(Self.list.utf8)
        for length in 0..<whole.count - 1 where whole[..<length].last != UInt8(ascii: ">") || length < whole.count {
            #expect(AnswerXML(Array(whole[..<length])) == nil, "cut after \(length) bytes")
        }
        for place in whole.indices {
            for byte in [
                UInt8(ascii: "<"), UInt8(ascii: ">"), UInt8(ascii: "&"), UInt8(ascii: "/"), UInt8(ascii: "\""), 0, 0xFF,
            ] {
                var changed = whole
                changed[place] = byte
                _ = ObjectPage(changed)
            }
        }
        let deep = String(repeating: "<a>", count: 100_000)
        #expect(AnswerXML(Array(deep.utf8)) == nil)
        for text in [
            "<a></b>", "<a>&nope;</a>", "<a>&#xD800;</a>", "<a>&#99999999999;</a>", "", "a", "<a/><b/>", "<a", "<>",
        ] {
            #expect(AnswerXML(Array(text.utf8)) == nil, "\(text)")
        }
        #expect(AnswerXML(Array("<x:a b='>'><c/>t</x:a>".utf8))?.text == "t")
    }

    /// What was deleted and is there still in versions is known by its newest one.
    @Test func deletedObjectsAreRead() throws {
        func page(_ inside: String, _ name: String = "ListVersionsResult") -> DeletedPage? {
            DeletedPage(Array("<?xml version=\"1.0\"?><\(name) xmlns=\"x\">\(inside)</\(name)>".utf8))
        }
        func one(_ kind: String, _ key: String, _ isLatest: String) -> String {
            "<\(kind)><Key>\(key)</Key><VersionId>v</VersionId><IsLatest>\(isLatest)</IsLatest></\(kind)>"
        }
        let found = try #require(
            page(
                one("DeleteMarker", "a&amp;b", "true") + one("DeleteMarker", "c", "false") + one("Version", "d", "true")
                    + "<IsTruncated>true</IsTruncated><NextKeyMarker>k</NextKeyMarker><NextVersionIdMarker>v</NextVersionIdMarker>"
            ))
        #expect(found.deleted == ["a&b"] && found.next != nil)
        #expect(try #require(page("<IsTruncated>true</IsTruncated>")).next == nil, "a list without an end is none")
        #expect(page("")?.deleted == [] && page("", "Error") == nil && DeletedPage([]) == nil)
    }
}
