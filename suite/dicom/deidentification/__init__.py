"""De-identification after DICOM PS3.15 Annex E: the basic profile, with dates shifted and UIDs consistent."""
