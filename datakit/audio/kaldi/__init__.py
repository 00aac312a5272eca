"""Kaldi's files: archives and script files, and data directories. A command in them is refused unless it is allowed."""

from datakit.audio.kaldi.data_dir import KaldiData
from datakit.audio.kaldi.data_writing import write_data_dir
from datakit.audio.kaldi.reading import (
    Scp,
    read_cntime_ark,
    read_mat_ark,
    read_mat_scp,
    read_post_ark,
    read_vec_flt_ark,
    read_vec_flt_scp,
    read_vec_int_ark,
)
from datakit.audio.kaldi.writing import write_mat_ark, write_vec_flt_ark, write_vec_int_ark

__all__ = [
    "KaldiData",
    "Scp",
    "read_cntime_ark",
    "read_mat_ark",
    "read_mat_scp",
    "read_post_ark",
    "read_vec_flt_ark",
    "read_vec_flt_scp",
    "read_vec_int_ark",
    "write_data_dir",
    "write_mat_ark",
    "write_vec_flt_ark",
    "write_vec_int_ark",
]
