/// Values by number, from 1 on. Numbers are used again. The memory is in pieces, and a piece in which nothing is left goes: a mount
/// that knew a million files and forgot them is as small as before.
struct SlotTable<Value: Sendable>: Sendable {
    private struct Piece: Sendable {
        /// Empty when the piece has gone.
        var values: [Value?] = []
        /// Places without a value.
        var unused: [UInt16] = []
    }

    private static var pieceCount: Int { 1024 }

    private var pieces: [Piece] = []
    /// The pieces that have room, the one to fill next last.
    private var roomy: [Int] = []
    /// How many numbers are taken.
    private(set) var count = 0

    /// The value with a number; number 0 has none.
    subscript(number: Int) -> Value? {
        get {
            let piece = number / Self.pieceCount
            guard number > 0, piece < pieces.count, !pieces[piece].values.isEmpty else { return nil }
            return pieces[piece].values[number % Self.pieceCount]
        }
        set {
            let piece = number / Self.pieceCount
            guard number > 0, piece < pieces.count, !pieces[piece].values.isEmpty else { return }
            pieces[piece].values[number % Self.pieceCount] = newValue
        }
    }

    /// Changes a value in its place; nothing happens when there is none.
    mutating func update(_ number: Int, _ body: (inout Value) -> Void) {
        guard var value = self[number] else { return }
        body(&value)
        self[number] = value
    }

    /// Takes a number that has no value; give it one.
    mutating func take() -> Int {
        if roomy.isEmpty {
            roomy.append(pieces.count)
            pieces.append(Piece())
        }
        let piece = roomy[roomy.count - 1]
        if pieces[piece].values.isEmpty { fill(piece) }
        let place = pieces[piece].unused.removeLast()
        if pieces[piece].unused.isEmpty { roomy.removeLast() }
        count += 1
        return piece * Self.pieceCount + Int(place)
    }

    private mutating func fill(_ piece: Int) {
        pieces[piece].values = Array(repeating: nil, count: Self.pieceCount)
        // Low numbers first; number 0 is nobody's.
        pieces[piece].unused = (UInt16(piece == 0 ? 1 : 0)..<UInt16(Self.pieceCount)).reversed()
    }

    /// Calls for every value.
    func forEach(_ body: (Value) -> Void) {
        for piece in pieces { for case let value? in piece.values { body(value) } }
    }

    /// Frees a number that was taken.
    mutating func free(_ number: Int) {
        let piece = number / Self.pieceCount
        pieces[piece].values[number % Self.pieceCount] = nil
        if pieces[piece].unused.isEmpty { roomy.append(piece) }
        pieces[piece].unused.append(UInt16(number % Self.pieceCount))
        count -= 1
        if pieces[piece].unused.count == Self.pieceCount - (piece == 0 ? 1 : 0) { pieces[piece] = Piece() }
    }
}
