/// Finds numbers by keys that are kept elsewhere: eight bytes a place, where a dictionary would keep every key a second time.
///
/// Open addressing with linear probing; what is removed is filled from behind (Knuth, volume 3, section 6.4, algorithm R).
struct NumberIndex {
    private struct Cell {
        var hash: UInt32
        /// 0: nothing is here.
        var number: UInt32
    }

    private var cells = [Cell](repeating: Cell(hash: 0, number: 0), count: Self.fewest)
    private(set) var count = 0

    private static var fewest: Int { 64 }

    /// The number of a key with a hash, of which `matches` says whether a number has it.
    func find(_ hash: UInt32, _ matches: (UInt32) -> Bool) -> UInt32? {
        let mask = cells.count - 1
        var place = Int(hash) & mask
        while cells[place].number != 0 {
            if cells[place].hash == hash, matches(cells[place].number) { return cells[place].number }
            place = (place + 1) & mask
        }
        return nil
    }

    /// Adds a number, not 0, whose key no number has yet.
    mutating func insert(_ number: UInt32, _ hash: UInt32) {
        // Three quarters full at most.
        if (count + 1) * 4 > cells.count * 3 { resize(to: cells.count * 2) }
        place(Cell(hash: hash, number: number))
        count += 1
    }

    private mutating func place(_ cell: Cell) {
        let mask = cells.count - 1
        var place = Int(cell.hash) & mask
        while cells[place].number != 0 { place = (place + 1) & mask }
        cells[place] = cell
    }

    /// Removes a number that has a key with a hash.
    ///
    /// - Returns: whether it was there.
    @discardableResult
    mutating func remove(_ number: UInt32, _ hash: UInt32) -> Bool {
        let mask = cells.count - 1
        var hole = Int(hash) & mask
        while cells[hole].number != number {
            if cells[hole].number == 0 { return false }
            hole = (hole + 1) & mask
        }
        var next = (hole + 1) & mask
        while cells[next].number != 0 {
            // What is sought from a place after the hole stays where it is.
            let home = Int(cells[next].hash) & mask
            if (next - home) & mask >= (next - hole) & mask {
                cells[hole] = cells[next]
                hole = next
            }
            next = (next + 1) & mask
        }
        cells[hole].number = 0
        count -= 1
        if cells.count > Self.fewest, count * 8 < cells.count { resize(to: cells.count / 4) }
        return true
    }

    private mutating func resize(to size: Int) {
        let old = cells
        cells = [Cell](repeating: Cell(hash: 0, number: 0), count: max(size, Self.fewest))
        for cell in old where cell.number != 0 { place(cell) }
    }
}
