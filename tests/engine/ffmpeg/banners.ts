/** What real builds print for `-version`. */
export const banners = {
  npmFfmpeg2018: `ffmpeg version N-47683-g0e8eb07980-static https://johnvansickle.com/ffmpeg/  Copyright (c) 2000-2018 the FFmpeg developers
built with gcc 6.3.0 (Debian 6.3.0-18+deb9u1) 20170516
configuration: --enable-gpl --enable-version3 --enable-static
libavutil      56. 24.101 / 56. 24.101
libavcodec     58. 42.100 / 58. 42.100
libavformat    58. 24.100 / 58. 24.100
`,
  npmFfprobe4: `ffprobe version 4.0.2-static https://johnvansickle.com/ffmpeg/  Copyright (c) 2007-2018 the FFmpeg developers
libavformat    58. 12.100 / 58. 12.100
`,
  debian12: `ffmpeg version 5.1.9-0+deb12u1 Copyright (c) 2000-2026 the FFmpeg developers
built with gcc 12 (Debian 12.2.0-14+deb12u1)
libavutil      57. 28.100 / 57. 28.100
libavformat    59. 27.100 / 59. 27.100
`,
  npmFfprobe2023: `ffprobe version N-66595-gc2b38619c0-static https://johnvansickle.com/ffmpeg/  Copyright (c) 2007-2023 the FFmpeg developers
libavformat    60. 10.100 / 60. 10.100
`,
  static70: `ffmpeg version 7.0.2-static https://johnvansickle.com/ffmpeg/  Copyright (c) 2000-2024 the FFmpeg developers
libavformat    61.  1.100 / 61.  1.100
`,
  release71: `ffmpeg version 7.1.1 Copyright (c) 2000-2025 the FFmpeg developers
libavformat    61.  7.100 / 61.  7.100
`,
  git8: `ffmpeg version n8.0-23-gd1f31a829d-20251022 Copyright (c) 2000-2025 the FFmpeg developers
libavformat    62.  3.100 / 62.  3.100
`
}
