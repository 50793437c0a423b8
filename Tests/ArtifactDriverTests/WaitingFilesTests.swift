import Artifacts
import FuseKernel
import Synchronization
import TestSupport
import Testing

@testable import ArtifactDriver
@testable import ArtifactStore

/// What waits for room is tried by one file for all, and never in a circle.
@Suite struct WaitingFilesTests {
    private let directory: TemporaryDirectory
    private let store: Store
    private let waiting = WaitingFiles()
    private static let second: UInt64 = 1_000_000_000

    init() throws {
        directory = try TemporaryDirectory()
        try Store.create(at: directory.path + "/store")
        store = try Store(at: directory.path + "/store", readOnly: false, durability: .relaxed)
    }

    private func entry(_ number: UInt64, bytes: Int64, in place: String = "base_layer") -> WaitingFiles.Entry {
        .init(
            file: ArtifactFile(id: InodeNumber(rawValue: number), size: bytes), bytes: bytes,
            target: store.directory(place))
    }

    private func add(
        _ number: UInt64, bytes: Int64, of user: UInt32 = 1, took: UInt64 = 0, now: UInt64 = 0,
        because rule: Rule = .noRoom
    ) -> Bool {
        waiting.add(entry(number, bytes: bytes), of: user, because: rule, took: took, now: now)
    }

    private func next(_ now: UInt64, room: Int64 = .max, atLast: Bool = false) -> [UInt64] {
        waiting.next(now: now, evenIfTriedJustNow: atLast) { $0.bytes <= room }.map(\.file.id.rawValue).sorted()
    }

    private func end(_ number: UInt64, isPublished: Bool = true, now: UInt64 = 0, room: Int64 = .max) -> [UInt64] {
        waiting.end(InodeNumber(rawValue: number), isPublished: isPublished, now: now) { $0.bytes <= room }
            .map(\.file.id.rawValue).sorted()
    }

    @Test func theSmallestIsTriedForAll() {
        #expect(!waiting.isAny && waiting.startTimer() == nil)
        for number in 1...5 as ClosedRange<UInt64> {
            #expect(add(number, bytes: Int64(10 - number)), "told once")
            #expect(waiting.isAny)
        }
        #expect(add(6, bytes: 100, of: 2) && waiting.counts.room == 6)
        #expect(next(0, room: 4) == [], "no room")
        #expect(next(0, room: 5) == [5], "the other user's is too large")
        #expect(next(0) == [6], "one at a time")
        #expect(end(5, room: 7) == [3, 4], "which have room now")
        #expect(end(6) == [])
        #expect(!add(3, bytes: 7) && !add(4, bytes: 6), "known")
        #expect(next(0) == [4] && end(4, room: 8) == [2, 3])
        for number in [2, 3] as [UInt64] { #expect(end(number) == [], "of all that was tried the first tells") }
        #expect(next(0) == [1] && end(1) == [])
        #expect(!waiting.isAny && waiting.counts.room == 0)
    }

    /// After a try in vain it takes longer and longer, and at the end of the mount everything has a last one.
    @Test func inVainItTakesLonger() {
        #expect(add(1, bytes: 1))
        var (now, pauses): (UInt64, [UInt64]) = (0, [])
        for _ in 0..<14 {
            let start = now
            while next(now) == [] { now += Self.second / 8 }
            pauses.append((now - start) / Self.second)
            #expect(!add(1, bytes: 1, now: now))
        }
        #expect(pauses.first == 0 && pauses.last == 300 && pauses == pauses.sorted(), "\(pauses)")
        #expect(next(now) == [] && next(now, atLast: true) == [1])
    }

    /// A file that takes an hour to check is not checked all the time, and does not keep others waiting.
    @Test func aTryTakesATenthOfTheTime() {
        #expect(add(1, bytes: 1 << 40, took: 3600 * Self.second))
        #expect(next(10 * Self.second) == [])
        #expect(add(2, bytes: 5) && next(10 * Self.second) == [2])
        #expect(end(2, now: 11 * Self.second) == [], "not yet")
        #expect(next(35_999 * Self.second) == [] && next(36_000 * Self.second) == [1])
        #expect(add(3, bytes: 1, took: .max, now: .max / 2))
    }

    @Test func whatFailsForAnotherReasonIsTriedWithoutRoom() {
        #expect(add(1, bytes: 1, because: .storeFailed) && waiting.counts.store == 1)
        #expect(next(0, room: 0) == [1])
        #expect(!add(1, bytes: 1), "now for room")
        #expect(waiting.counts.room == 1 && waiting.counts.store == 0 && next(0, room: 0) == [])
        #expect(next(0) == [1] && end(1, isPublished: false) == [] && !waiting.isAny)
    }

    @Test func aTimerForAll() {
        #expect(add(1, bytes: 1) && add(2, bytes: 2))
        #expect(waiting.startTimer() == 250 && waiting.startTimer() == nil)
        var delays: [Int] = []
        for _ in 0..<8 {
            waiting.timerHasEnded()
            delays.append(waiting.startTimer() ?? 0)
        }
        #expect(delays == [500, 1000, 2000, 4000, 8000, 8000, 8000, 8000])
        #expect(waiting.beginLook() && !waiting.beginLook(), "many removals are one look")
        waiting.stop()
        waiting.timerHasEnded()
        #expect(waiting.startTimer() == nil)
    }
}
