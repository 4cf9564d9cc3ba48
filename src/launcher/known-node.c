/*
 * Whether the Node that would be started is the one that is known from the build. Only that one is given an option that
 * another version might not know: Node ends at such an option, and so would every call after an update.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include "launcher.h"

/* Says which file it is, until somebody writes another in its place; the same in scripts/executables.js. */
static int is_recorded(const char *record, const struct stat *node)
{
	unsigned long long inode = 0, size = 0, changed_ns = 0;
	FILE *file = fopen(record, "re");
	int count = file ? fscanf(file, "%llu %llu %llu", &inode, &size, &changed_ns) : 0;
	if (file) fclose(file);
	return count == 3 && inode == node->st_ino && size == (unsigned long long)node->st_size &&
		changed_ns == node->st_mtim.tv_sec * 1000000000ULL + node->st_mtim.tv_nsec;
}

int is_known_node(const char *record, char *node, int size)
{
	struct stat found;
	for (const char *folder = getenv("PATH"); folder && *folder && *folder != ':';) {
		int length = strcspn(folder, ":");
		if (snprintf(node, size, "%.*s/node", length, folder) >= size) return 0;
		/* The first that execvp would take. */
		if (stat(node, &found) == 0 && S_ISREG(found.st_mode) && access(node, X_OK) == 0) return is_recorded(record, &found);
		if (folder[length] == 0) return 0;
		folder += length + 1;
	}
	return 0;
}
