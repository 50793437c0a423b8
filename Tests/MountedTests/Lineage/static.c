/* A program without libraries: copies the files that are named, in turns of a buffer, to its standard output. */
#include <fcntl.h>
#include <unistd.h>

int main(int count, char **names) {
    char buffer[512];
    for (int index = 1; index < count; index++) {
        int file = open(names[index], O_RDONLY);
        if (file < 0) return 1;
        ssize_t length;
        while ((length = read(file, buffer, sizeof buffer)) > 0)
            if (write(1, buffer, length) != length) return 1;
        close(file);
    }
    _exit(0);
}
