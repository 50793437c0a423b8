import Glibc
import Queries

extension QueryCalendar {
    /// That of this process's time zone.
    static func local() -> QueryCalendar {
        QueryCalendar(
            now: Int64(time(nil)),
            civil: { seconds in
                var (clock, found) = (time_t(seconds), tm())
                localtime_r(&clock, &found)
                return CivilTime(
                    Int(found.tm_year) + 1900, Int(found.tm_mon) + 1, Int(found.tm_mday), Int(found.tm_hour),
                    Int(found.tm_min), Int(found.tm_sec))
            },
            seconds: { civil in
                var found = tm()
                found.tm_year = Int32(clamping: civil.year - 1900)
                found.tm_mon = Int32(clamping: civil.month - 1)
                found.tm_mday = Int32(clamping: civil.day)
                (found.tm_hour, found.tm_min) = (Int32(clamping: civil.hour), Int32(clamping: civil.minute))
                found.tm_sec = Int32(clamping: civil.second)
                // Whether summer time holds is the time zone's to say.
                found.tm_isdst = -1
                return Int64(mktime(&found))
            })
    }
}
