import Artifacts
import SystemPackage
import Testing

/// What counts as no room.
@Suite struct DiskRoomTests {
    private func room(
        total: UInt64 = 1000, free: UInt64 = 100, available: UInt64 = 100, blockSize: UInt64 = 4096, files: UInt64 = 0,
        freeFiles: UInt64 = 0, user: UInt32 = 1000
    ) -> DiskRoom {
        DiskRoom(
            total: total, free: free, available: available, blockSize: blockSize, files: files, freeFiles: freeFiles,
            user: user)
    }

    @Test(
        arguments: [
            (1000, 0, true), (1000, 15, true), (1000, 16, false), (1000, .max, false), (0, 0, false), (1, 0, true),
        ] as [(UInt64, UInt64, Bool)])
    func fewBlocksAreNone(total: UInt64, left: UInt64, isNone: Bool) {
        #expect(room(total: total, free: left, available: left).isNone == isNone)
        #expect(room(total: total, free: left, available: left).takes(0) == !isNone)
    }

    /// What is kept for root is nobody else's.
    @Test func whoseRoomItIs() {
        #expect(room(free: 100, available: 0, user: 0).isNone == false)
        #expect(room(free: 100, available: 0, user: 1).isNone == true)
    }

    @Test(
        arguments: [
            (100, 4096, 84 * 4096, true), (100, 4096, 85 * 4096, false), (16, 4096, 4095, true),
            (16, 4096, 4096, false),
            (16, 4096, 0, true), (16, 4096, -1, true), (16, 4096, .min, true), (.max, .max, .max, true),
            (100, 0, .max, true), (.max, 1, .max, true),
        ] as [(UInt64, UInt64, Int64, Bool)])
    func filesOfASize(left: UInt64, blockSize: UInt64, bytes: Int64, fits: Bool) {
        #expect(room(total: .max, free: left, available: left, blockSize: blockSize).takes(bytes) == fits)
    }

    @Test func withoutNumbersForFiles() {
        #expect(!room(files: 10, freeFiles: 0).takes(0))
        #expect(room(files: 10, freeFiles: 1).takes(0))
        #expect(room(files: 0, freeFiles: 0).takes(0), "some file systems have no number of files to tell")
        #expect(!room(files: 10, freeFiles: 0).isNone, "what is made already can be written")
    }

    @Test(
        arguments: [
            (1000, 4096, false), (2 << 20, 4096, false), (2 << 20 + 1, 4096, true), (.max, 2, true), (0, 4096, false),
            (.max, 0, false),
        ] as [(UInt64, UInt64, Bool)])
    func plenty(left: UInt64, blockSize: UInt64, isPlenty: Bool) {
        #expect(room(total: .max, free: left, available: left, blockSize: blockSize).isPlenty == isPlenty)
    }

    @Test func whereThereIsNoNumberThereIsPlenty() { #expect(room(total: 0, free: 0, available: 0).isPlenty) }

    @Test func everyErrno() {
        for number in -1...200 as ClosedRange<Int32> {
            let error = Errno(rawValue: number)
            let isRoom = error == .noSpace || error == .diskQuotaExceeded
            #expect(DiskRoom.isForWantOfRoom(error) == isRoom)
            let isCutOff = error == .hostIsDown
            #expect(Rule.ofFailure(error) == (isRoom ? .noRoom : isCutOff ? .cutOff : .storeFailed))
        }
    }
}
