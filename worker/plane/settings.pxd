# The plane's numbers, from the configuration.
from worker.plane.exchange cimport Settings

# Raises KeyError for a setting that is missing, TypeError for one that is unknown.
cdef int fill_settings(Settings* settings, dict given) except -1
